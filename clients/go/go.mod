module github.com/pgcdc/cdc/clients/go

go 1.24.0

require (
	github.com/jackc/pgx/v5 v5.8.0
	google.golang.org/protobuf v1.36.11
)

require (
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	golang.org/x/text v0.29.0 // indirect
)

tool google.golang.org/protobuf/cmd/protoc-gen-go
