package pump

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
	"github.com/pgcdc/cdc/relay/jetstream"
)

// cluster is three servers, of which one may be down.
type cluster struct {
	options [3]*server.Options
	servers [3]*server.Server
}

func ports(t *testing.T, n int) (list []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		list = append(list, l.Addr().(*net.TCPAddr).Port)
	}
	return list
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{}
	free := ports(t, 6)
	var routes []*url.URL
	for i := range 3 {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", free[3+i])})
	}
	for i := range 3 {
		c.options[i] = &server.Options{ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: free[i], NoSigs: true, NoLog: true, JetStream: true,
			StoreDir: t.TempDir(), Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: free[3+i]}, Routes: routes}
		c.start(t, i)
	}
	t.Cleanup(func() {
		for _, s := range c.servers {
			s.Shutdown()
			s.WaitForShutdown()
		}
	})
	return c
}

func (c *cluster) start(t *testing.T, i int) {
	t.Helper()
	s, err := server.NewServer(c.options[i].Clone())
	if err != nil {
		t.Fatal(err)
	}
	c.servers[i] = s
	s.Start()
}

func (c *cluster) url() string {
	var list []string
	for _, o := range c.options {
		list = append(list, fmt.Sprintf("nats://127.0.0.1:%d", o.Port))
	}
	return strings.Join(list, ",")
}

// leader of the stream, -1 while there is none.
func (c *cluster) leader(t *testing.T) int {
	stream, err := connect(t, c.url()).Stream(t.Context(), "CDC")
	if err != nil || stream.CachedInfo().Cluster == nil {
		return -1
	}
	for i, o := range c.options {
		if o.ServerName == stream.CachedInfo().Cluster.Leader {
			return i
		}
	}
	return -1
}

// The leader of a replicated stream goes away, again and again.
func TestClusterOfNATS(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	c := newCluster(t)
	config := settings
	config.URL, config.Create, config.Replicas = c.url(), true, 3
	d, err := jetstream.New(config, "p", "s", logger(t))
	if err != nil {
		t.Fatal(err)
	}
	to := target{d, true, func(t *testing.T) (all []bus.Message) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if all, err = verify.JetStream(ctx, c.url(), "CDC"); err != nil {
			t.Fatal(err)
		}
		return all
	}}
	source := cdctest.NewSource("s")
	stop := running(t, newPump(t, source, d))
	n := workload(source)
	confirmed(t, source)
	for range 3 {
		n += workload(source)
		if i := c.leader(t); i >= 0 {
			c.servers[i].Shutdown()
			c.servers[i].WaitForShutdown()
			n += workload(source)
			time.Sleep(time.Second)
			c.start(t, i)
		}
		n += workload(source)
		time.Sleep(time.Second)
	}
	confirmed(t, source)
	if err := stop(); err != nil {
		t.Error(err)
	}
	check(t, to, n)
}
