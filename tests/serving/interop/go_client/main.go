// A client in another language, on the code that protoc-gen-go and protoc-gen-go-grpc make of the protos:
// `client ADDRESS PROMPT`. Prints what it got as one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	riverrun "riverrun.test/client/riverrun/v1"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// answer is the text of a stream, to its `final`.
func answer(stream grpc.ServerStreamingClient[riverrun.GenerateResponse]) (string, *riverrun.Final) {
	text, final := "", (*riverrun.Final)(nil)
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return text, final
		}
		switch event := must(response, err).Event.(type) {
		case *riverrun.GenerateResponse_Chunk:
			text += event.Chunk.Text
		case *riverrun.GenerateResponse_Final:
			final = event.Final
		}
	}
}

// refusal is what an error tells: its code, its reason, and the field that is meant.
func refusal(err error) map[string]any {
	told := map[string]any{"code": status.Code(err).String()}
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			told["reason"] = detail.Reason
		case *errdetails.BadRequest:
			told["field"] = detail.FieldViolations[0].Field
		}
	}
	return told
}

func main() {
	connection := must(grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials())))
	defer connection.Close()
	client, ctx := riverrun.NewGenerationClient(connection), context.Background()

	request := &riverrun.GenerateRequest{
		Input:     &riverrun.GenerateRequest_Prompt{Prompt: os.Args[2]},
		MaxTokens: 8,
	}
	text, final := answer(must(client.Generate(ctx, request)))
	scores := must(client.Score(ctx, &riverrun.ScoreRequest{Inputs: []*riverrun.ScoreInput{{Text: os.Args[2]}}}))
	request.Sampling = &riverrun.Sampling{Temperature: -1}
	_, err := client.Complete(ctx, request)

	must(0, json.NewEncoder(os.Stdout).Encode(map[string]any{
		"text":          text,
		"version":       final.Version.Id,
		"requestId":     final.RequestId,
		"logLikelihood": scores.Scores[0].LogLikelihood,
		"scoredBy":      scores.Version.Id,
		"refused":       refusal(err),
	}))
}
