// A client in another language: `node client.js ADDRESS PROTOS PROMPT`, with @grpc/grpc-js and
// @grpc/proto-loader beside it. Prints what it got as one line of JSON.
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, protos, prompt] = process.argv.slice(2);
const definition = loader.loadSync("riverrun/v1/generation.proto", {
  includeDirs: [protos],
  longs: Number,
  enums: String,
  oneofs: true,
});
const { Generation } = grpc.loadPackageDefinition(definition).riverrun.v1;
const client = new Generation(address, grpc.credentials.createInsecure());

let text = "";
const stream = client.Generate({ prompt, maxTokens: 8 });
stream.on("data", (response) => {
  if (response.event === "chunk") text += response.chunk.text;
  else {
    const { version, finishReason, requestId } = response.final;
    client.Complete({ prompt, sampling: { temperature: -1 } }, (error) => {
      const refused = { code: error.code, details: error.details };
      console.log(JSON.stringify({ text, version: version.id, finishReason, requestId, refused }));
      client.close();
    });
  }
});
stream.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
