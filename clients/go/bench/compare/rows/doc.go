// Package rows has the rows of public.mixed, generated from what the server prints:
//
//	psql -Atc "SELECT cdc.proto('public.mixed')" >mixed.proto
//	protoc -I . --go_out=. --go_opt=paths=source_relative \
//	    --go_opt=Mmixed.proto=github.com/pgcdc/cdc/clients/go/bench/compare/rows mixed.proto
package rows
