package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The service that both languages offer; every message is a google.protobuf.StringValue.
const serviceName = "interop.Test"

func unary(handle func(context.Context, string) (string, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(interface{}) error) (interface{}, error) {
		var request wrapperspb.StringValue
		if err := unmarshal(&request); err != nil {
			return nil, err
		}
		response, err := handle(ctx, request.Value)
		if err != nil {
			return nil, err
		}
		return wrapperspb.String(response), nil
	}
}

func describe() *ttrpc.ServiceDesc {
	return &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{
			"Echo":     unary(func(_ context.Context, message string) (string, error) { return message, nil }),
			"Metadata": unary(metadata),
			"Deadline": unary(deadline),
			"Fail":     unary(fail),
			"Block":    unary(block),
			"Large":    unary(large),
		},
		Streams: map[string]ttrpc.Stream{
			"Count": {Handler: count, StreamingServer: true},
			"Join":  {Handler: join, StreamingClient: true},
			"Chat":  {Handler: chat, StreamingClient: true, StreamingServer: true},
		},
	}
}

func metadata(ctx context.Context, _ string) (string, error) {
	pairs, _ := ttrpc.GetMetadata(ctx)
	text, err := json.Marshal(pairs)
	return string(text), err
}

func deadline(ctx context.Context, _ string) (string, error) {
	end, ok := ctx.Deadline()
	if !ok {
		return "none", nil
	}
	return strconv.FormatBool(time.Until(end) > 0), nil
}

// fail answers with the status "CODE MESSAGE", or with a plain error when there is no code.
func fail(_ context.Context, message string) (string, error) {
	number, text, _ := strings.Cut(message, " ")
	code, err := strconv.Atoi(number)
	if err != nil {
		return "", errors.New(message)
	}
	return "", status.Error(codes.Code(code), text)
}

func block(ctx context.Context, _ string) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

func large(_ context.Context, message string) (string, error) {
	length, err := strconv.Atoi(message)
	return strings.Repeat("x", length), err
}

func count(_ context.Context, stream ttrpc.StreamServer) (interface{}, error) {
	var request wrapperspb.StringValue
	if err := stream.RecvMsg(&request); err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(request.Value)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "not a number: %s", request.Value)
	}
	for i := 0; i < n; i++ {
		if err := stream.SendMsg(wrapperspb.String(strconv.Itoa(i))); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func join(_ context.Context, stream ttrpc.StreamServer) (interface{}, error) {
	var parts []string
	for {
		var message wrapperspb.StringValue
		if err := stream.RecvMsg(&message); errors.Is(err, io.EOF) {
			return wrapperspb.String(strings.Join(parts, "+")), nil
		} else if err != nil {
			return nil, err
		}
		parts = append(parts, message.Value)
	}
}

func chat(_ context.Context, stream ttrpc.StreamServer) (interface{}, error) {
	for {
		var message wrapperspb.StringValue
		if err := stream.RecvMsg(&message); errors.Is(err, io.EOF) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		if err := stream.SendMsg(wrapperspb.String(strings.ToUpper(message.Value))); err != nil {
			return nil, err
		}
	}
}

func serve(path string) error {
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	server.RegisterService(serviceName, describe())
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	return server.Serve(context.Background(), listener)
}
