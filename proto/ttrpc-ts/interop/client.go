package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type caller struct {
	client *ttrpc.Client
}

// call gives the answer, or "error CODE MESSAGE".
func (c caller) call(ctx context.Context, service, method, message string) string {
	var response wrapperspb.StringValue
	if err := c.client.Call(ctx, service, method, wrapperspb.String(message), &response); err != nil {
		return describeError(err)
	}
	return response.Value
}

func (c caller) open(desc ttrpc.StreamDesc, method string, request interface{}) ttrpc.ClientStream {
	stream, err := c.client.NewStream(context.Background(), &desc, serviceName, method, request)
	if err != nil {
		panic(err)
	}
	return stream
}

func describeError(err error) string {
	// which side's clock notices first is a matter of luck
	if errors.Is(err, context.DeadlineExceeded) || status.Code(err) == codes.DeadlineExceeded {
		return "deadline exceeded"
	}
	if s, ok := status.FromError(err); ok {
		return fmt.Sprintf("error %d %s", s.Code(), s.Message())
	}
	return "error " + err.Error()
}

func receiveAll(stream ttrpc.ClientStream) string {
	var parts []string
	for {
		var message wrapperspb.StringValue
		if err := stream.RecvMsg(&message); errors.Is(err, io.EOF) {
			return strings.Join(parts, ",")
		} else if err != nil {
			return strings.Join(append(parts, describeError(err)), ",")
		}
		parts = append(parts, message.Value)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// scenario makes calls of every kind and prints what came of each, as one JSON object.
func scenario(path string) error {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	c := caller{ttrpc.NewClient(conn)}
	ctx := context.Background()
	results := map[string]string{}

	results["unary"] = c.call(ctx, serviceName, "Echo", "hello")
	results["empty"] = c.call(ctx, serviceName, "Echo", "")
	results["metadata"] = c.call(ttrpc.WithMetadata(ctx, ttrpc.MD{"key": {"a", "b"}}), serviceName, "Metadata", "")
	results["no deadline"] = c.call(ctx, serviceName, "Deadline", "")
	minute, cancel := context.WithTimeout(ctx, time.Minute)
	results["deadline"] = c.call(minute, serviceName, "Deadline", "")
	cancel()
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	results["timeout"] = c.call(short, serviceName, "Block", "")
	cancel()
	results["status"] = c.call(ctx, serviceName, "Fail", "5 no such thing")
	results["plain error"] = c.call(ctx, serviceName, "Fail", "broken")
	results["no method"] = c.call(ctx, serviceName, "Nothing", "")
	results["no service"] = c.call(ctx, "no.Service", "Echo", "")
	results["oversized request"] = c.call(ctx, serviceName, "Echo", strings.Repeat("x", 20<<20))
	results["oversized response"] = c.call(ctx, serviceName, "Large", "5000000")
	results["after oversized"] = c.call(ctx, serviceName, "Echo", "still here")
	results["large"] = fmt.Sprint(len(c.call(ctx, serviceName, "Large", "4000000")))

	results["server stream"] = receiveAll(c.open(ttrpc.StreamDesc{StreamingServer: true}, "Count", wrapperspb.String("3")))
	results["failed stream"] = receiveAll(c.open(ttrpc.StreamDesc{StreamingServer: true}, "Count", wrapperspb.String("x")))
	joined := c.open(ttrpc.StreamDesc{StreamingClient: true}, "Join", nil)
	for _, part := range []string{"a", "", "c"} {
		must(joined.SendMsg(wrapperspb.String(part)))
	}
	must(joined.CloseSend())
	results["client stream"] = receiveAll(joined)
	chatted := c.open(ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, "Chat", nil)
	for _, part := range []string{"x", "y"} {
		must(chatted.SendMsg(wrapperspb.String(part)))
	}
	must(chatted.CloseSend())
	results["both ways"] = receiveAll(chatted)

	return json.NewEncoder(os.Stdout).Encode(results)
}
