package cdc_test

import (
	"context"
	"fmt"

	"github.com/pgcdc/cdc/clients/go"
)

// A copy of tables, from what a program reads of Kafka. The library's record stands for any.
func ExampleTopicApplier() {
	type kafkaRecord struct {
		Topic      string
		Partition  int32
		Offset     int64
		Key, Value []byte
		Headers    map[string]string
	}
	var records []kafkaRecord // of partitions that are read from Progress.Sequence on

	ctx := context.Background()
	reader := cdc.NewTopicReader(cdc.NewSchemaCache(cdc.Limits{}))
	applier := cdc.NewTopicApplier(cdc.NewMemoryState()) // or a PostgresState, which stays
	for _, r := range records {
		record := &cdc.TopicRecord{Topic: r.Topic, Partition: r.Partition, Sequence: uint64(r.Offset) + 1, Key: r.Key, Value: r.Value}
		for name, value := range r.Headers {
			record.Headers = append(record.Headers, cdc.TopicHeader{Name: name, Value: value})
		}
		message, err := reader.Read(record)
		if err == nil {
			err = applier.Apply(ctx, message)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(applier.Commit(ctx))
	// Output: <nil>
}
