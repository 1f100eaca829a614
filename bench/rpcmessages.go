package main

import (
	"context"
	"net"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// gRPC and ttrpc carry the ready message google.protobuf.BytesValue, so their services are what a compiler of
// proto files would have made of "rpc Echo(BytesValue) returns (BytesValue)".

const (
	echoService = "bench.Echo"
	echoMethod  = "Echo"
)

var grpcMessenger = messenger{answer: grpcServe, request: grpcDial, serve: grpcServe, call: shared(grpcDial)}

var grpcEcho = grpc.ServiceDesc{
	ServiceName: echoService,
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: echoMethod,
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			m := new(wrapperspb.BytesValue)
			return m, decode(m)
		},
	}},
}

func grpcServe(ctx context.Context, at address) error {
	l, err := listenStream(ctx, "net", at.String())
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	s.RegisterService(&grpcEcho, nil)
	defer context.AfterFunc(ctx, s.Stop)()
	return s.Serve(l)
}

func grpcDial(ctx context.Context, at address) (trip, error) {
	dial := grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return dialStream(ctx, "net", at.String())
	})
	c, err := grpc.NewClient("passthrough:echo", dial, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return func(request []byte) ([]byte, error) {
		var reply wrapperspb.BytesValue
		err := c.Invoke(ctx, "/"+echoService+"/"+echoMethod, &wrapperspb.BytesValue{Value: request}, &reply)
		return reply.Value, err
	}, nil
}

var ttrpcMessenger = messenger{answer: ttrpcServe, request: ttrpcDial, serve: ttrpcServe, call: shared(ttrpcDial)}

func ttrpcServe(ctx context.Context, at address) error {
	l, err := listenStream(ctx, "net", at.String())
	if err != nil {
		return err
	}
	s, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	s.Register(echoService, map[string]ttrpc.Method{
		echoMethod: func(_ context.Context, decode func(any) error) (any, error) {
			m := new(wrapperspb.BytesValue)
			return m, decode(m)
		},
	})
	return untilDone(ctx, func() error { return s.Serve(ctx, l) })
}

func ttrpcDial(ctx context.Context, at address) (trip, error) {
	c, err := dialStream(ctx, "net", at.String())
	if err != nil {
		return nil, err
	}
	client := ttrpc.NewClient(c)
	return func(request []byte) ([]byte, error) {
		var reply wrapperspb.BytesValue
		err := client.Call(ctx, echoService, echoMethod, &wrapperspb.BytesValue{Value: request}, &reply)
		return reply.Value, err
	}, nil
}
