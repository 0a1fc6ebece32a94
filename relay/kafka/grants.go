package kafka

import "github.com/pgcdc/cdc/relay/config"

// ACL is what a relay must be allowed to do with something.
type ACL struct {
	// Resource is topic or transactional-id.
	Resource, Name string
	// Prefixed: with all whose names begin so.
	Prefixed   bool
	Operations []string
}

// ACLs are the least that a relay needs; reading: to look at what is in the topics, too.
func ACLs(c *config.Kafka, prefix, slot string, reading bool) []ACL {
	d := &Driver{prefix: prefix, slot: slot}
	topics := ACL{"topic", prefix + ".", true, []string{"Write", "Describe", "DescribeConfigs"}}
	if c.Create {
		topics.Operations = append(topics.Operations, "Create")
	}
	if reading {
		topics.Operations = append(topics.Operations, "Read")
	}
	least := []ACL{topics, {"topic", d.checkpoints(), false, []string{"Read"}}}
	if c.Transactions {
		least = append(least, ACL{"transactional-id", d.transactional(), false, []string{"Write", "Describe"}})
	}
	return least
}
