package jetstream

import "github.com/pgcdc/cdc/relay/config"

// Permissions are the subjects that a relay must be allowed to publish on, and to subscribe; reading: to
// look at what is in the stream, too.
func Permissions(c *config.NATS, prefix string, reading bool) (publish, subscribe []string) {
	bucket := bucketName(c.Stream)
	publish = []string{prefix + ".>", "$KV." + bucket + ".>", "$JS.API.STREAM.INFO." + c.Stream, "$JS.API.STREAM.MSG.GET." + c.Stream,
		"$JS.API.STREAM.INFO.KV_" + bucket, "$JS.API.DIRECT.GET.KV_" + bucket + ".>"}
	if c.Create {
		publish = append(publish, "$JS.API.STREAM.CREATE."+c.Stream, "$JS.API.STREAM.CREATE.KV_"+bucket, "$JS.API.INFO")
	}
	if reading {
		for _, call := range []string{"CREATE", "INFO", "MSG.NEXT", "DELETE"} {
			publish = append(publish, "$JS.API.CONSUMER."+call+"."+c.Stream+".>")
		}
	}
	return publish, []string{"_INBOX.>"}
}
