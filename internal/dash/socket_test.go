package dash

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
)

// TestMessageSocketAndItsPeers shows a real socket with a real peer.
func TestMessageSocketAndItsPeers(t *testing.T) {
	run(t, func(s *stage) {
		var rep *pattern.Rep
		record := s.model.Socket("rep", func() MessageSocket {
			if rep == nil {
				return nil
			}
			return rep
		})
		s.wait(sampleEvery)
		if v := get[socketValue](s, "socket.1"); v.Type != "rep" || v.Peers != 0 {
			t.Errorf("before it is made: %+v", v)
		}
		rep = pattern.NewRep(&pattern.Options{OnEvent: record.Event})
		defer rep.Close()
		const url = "mem:shown"
		if _, err := rep.Listen(s.t.Context(), url); err != nil {
			t.Fatal(err)
		}
		record.Endpoint(url)
		answering, stop := context.WithCancel(s.t.Context())
		defer stop()
		go func() {
			_ = rep.Serve(answering, func(_ context.Context, request []byte) ([]byte, error) { return request, nil })
		}()
		req := pattern.NewReq(&pattern.Options{Identity: []byte("asker")})
		defer req.Close()
		if err := req.Dial(url); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := req.Request(s.t.Context(), []byte("question")); err != nil {
				t.Fatal(err)
			}
		}
		s.wait(sampleEvery)
		v := get[socketValue](s, "socket.1")
		if v.Peers != 1 || v.Received != 3 || v.Sent != 3 || v.ReceivedRate != 3 || len(v.Endpoints) != 1 || len(v.List) != 1 {
			t.Fatalf("%+v", v)
		}
		peer := v.List[0]
		if peer.Type != "REQ" || peer.Identity != "asker" || peer.Received != 3 || peer.Conn == 0 || peer.Security != "NULL" {
			t.Errorf("peer %+v", peer)
		}
		c := get[value](s, key("conn", peer.Conn))
		if c.Socket != 1 || c.Role != roleAccepted || c.MessagesReceived != 3 || c.Received == 0 || c.State != stateOpen {
			t.Errorf("connection %+v", c)
		}
		defer s.model.follow(peer.Conn)()
		if err := req.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.wait(newsEvery)
		if c = get[value](s, key("conn", peer.Conn)); c.State != stateEnded || c.Outcome != "closed" {
			t.Errorf("after its end: %+v", c)
		}
		var kinds []string
		for _, step := range get[lifeValue](s, key("life", peer.Conn)).Steps {
			kinds = append(kinds, step.Kind)
		}
		if len(kinds) != 5 || kinds[0] != "accept" || kinds[1] != "handshake" || kinds[4] != "close" {
			t.Errorf("steps %v", kinds)
		}
	})
}

func TestEventsOfPeersThatNeverWere(t *testing.T) {
	run(t, func(s *stage) {
		record := s.model.Socket("pull", func() MessageSocket { return nil })
		err := errors.New("not ZMTP")
		record.Event(pattern.Event{Kind: pattern.EventHandshakeFailed, Endpoint: "tcp://:1", Peer: &pattern.PeerInfo{ID: 1, Address: "127.0.0.1:7"}, Err: err})
		record.Event(pattern.Event{Kind: pattern.EventDropped, Endpoint: "tcp://:1", Messages: 3, Err: pattern.ErrQueueFull})
		record.Event(pattern.Event{Kind: pattern.EventDisconnected, Endpoint: "tcp://:1", Peer: &pattern.PeerInfo{ID: 9}})
		record.Event(pattern.Event{Kind: pattern.EventRetrying, Endpoint: "tcp://:1", Wait: time.Second, Err: err})
		s.wait(sampleEvery)
		if v := get[value](s, "conn.1"); v.Outcome != "refused" || v.State != stateEnded || v.Error != err.Error() {
			t.Errorf("%+v", v)
		}
		if v := get[socketValue](s, "socket.1"); v.LastDrop == "" {
			t.Errorf("%+v", v)
		}
	})
}
