# cdc: change data capture out of PostgreSQL.
#
#   make PG_CONFIG=/path/to/pg_config && sudo make install
#   make check          everything, on servers of its own (scripts/check)
#   make installcheck   the regression tests, against your running server

EXTENSION = cdc
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" cdc.control)
MODULE_big = cdc
DATA = cdc--$(EXTVERSION).sql

# By layer, see docs/design.md: what is below never includes what is above.
OBJS = \
	src/cdc.o src/plugin.o src/slotfuncs.o src/schemafuncs.o src/inspectfuncs.o \
	src/options.o src/batch.o src/tablecache.o src/settings.o \
	src/event.o src/delta.o src/row.o src/table.o src/typcodec.o src/fingerprint.o \
	src/metadata.o src/guard.o src/json.o \
	src/wire.o \
	src/cdc/v1/cdc.pb-c.o

PG_CPPFLAGS = -I$(srcdir)/src -Isrc -DCDC_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare
SHLIB_LINK = -lprotobuf-c
EXTRA_CLEAN = src/cdc

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

PROTO = proto/cdc/v1/cdc.proto
src/cdc/v1/cdc.pb-c.c: $(srcdir)/$(PROTO)
	protoc-c -I$(srcdir)/proto --c_out=src $(srcdir)/$(PROTO)
src/cdc/v1/cdc.pb-c.h: src/cdc/v1/cdc.pb-c.c ;
$(OBJS): src/cdc/v1/cdc.pb-c.h $(wildcard $(srcdir)/src/*.h)
