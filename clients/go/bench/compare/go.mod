module github.com/pgcdc/cdc/clients/go/bench/compare

go 1.25.0

require (
	github.com/jackc/pglogrepl v0.0.0-20260824121319-4ae5c490f7ce
	github.com/jackc/pgx/v5 v5.12.0
	github.com/pgcdc/cdc/clients/go v1.0.0
	google.golang.org/protobuf v1.36.11
)

require (
	github.com/jackc/pgio v1.0.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	golang.org/x/text v0.41.0 // indirect
)

replace github.com/pgcdc/cdc/clients/go => ../..
