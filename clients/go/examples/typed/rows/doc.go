// Package rows has the rows of public.orders, generated from what the server
// prints:
//
//	psql -Atc "SELECT cdc.proto('public.orders')" >orders.proto
//	protoc -I . -I path/to/cdc/proto --go_out=. --go_opt=paths=source_relative \
//	    --go_opt=Morders.proto=example.com/shop/rows orders.proto
package rows
