"""The gRPC services: protos in, protos out, no tensor in between."""
