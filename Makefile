# cdc: change data capture out of PostgreSQL.
#
#   make PG_CONFIG=/path/to/pg_config && sudo make install
#   make check          everything, on servers of its own (scripts/check)
#   make demo           a stream to look at (scripts/demo)
#   make installcheck   the regression tests, against your running server

EXTENSION = cdc
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" cdc.control)
MODULE_big = cdc
DATA = cdc--$(EXTVERSION).sql

# The rooms of src/, from the lowest to the highest: an include points to the same room or to
# one before it, which test/layering.sh checks. See docs/design.md.
ROOMS = util catalog wire values schema json redact rows registry access options select session snapshot slots
OBJS = $(patsubst $(or $(srcdir),.)/%.c,%.o,$(sort $(wildcard $(or $(srcdir),.)/src/*.c) \
	$(foreach room,$(ROOMS),$(wildcard $(or $(srcdir),.)/src/$(room)/*.c)))) \
	src/cdc/v1/cdc.pb-c.o

PG_CPPFLAGS = -I$(srcdir)/src -Isrc -DCDC_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare
SHLIB_LINK = -lprotobuf-c
EXTRA_CLEAN = src/cdc

# The regression tests, one file a theme, and what runs beside one another.
REGRESS := setup $(filter-out setup,$(sort $(notdir $(basename $(wildcard sql/*.sql)))))
ISOLATION := $(sort $(notdir $(basename $(wildcard test/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test

# What has a server of its own, or needs none. These work without pg_config
# (they install what is missing), so the goals that need it are left out.
SCRIPTED = check demo bench sanitize fuzz fuzz-long soak mutants adversary-proof matrix dist META.json
ifneq (,$(and $(MAKECMDGOALS),$(if $(filter-out $(SCRIPTED),$(MAKECMDGOALS)),,yes)))

check:
	+scripts/check
demo:
	+scripts/demo
bench:
	+bench/run
sanitize:
	+SANITIZE=1 scripts/check
fuzz:
	+scripts/fuzz
fuzz-long:
	+FUZZ_RUNS=100000000 scripts/fuzz
soak:
	+scripts/check go-long rust-long adversary-long
mutants:
	+scripts/mutants
adversary-proof:
	+scripts/check adversary-faults
matrix:
	+scripts/matrix

META.json: META.json.in cdc.control
	sed 's/@VERSION@/$(EXTVERSION)/g' META.json.in > $@
dist: META.json
	git archive --format=zip --prefix=cdc-$(EXTVERSION)/ --add-file=META.json -o cdc-$(EXTVERSION).zip HEAD

.PHONY: $(filter-out META.json,$(SCRIPTED))

else

PG_CONFIG ?= pg_config
# Hashes are made by OpenSSL's SHA-256 where the server has OpenSSL, and its
# headers are there (src/redact/hmac.h).
ifneq (,$(filter -lcrypto,$(shell $(PG_CONFIG) --libs)))
SHA_TEST = int main(void) { SHA256_CTX c; return !SHA256_Init(&c); }
ifeq (yes,$(shell echo '$(SHA_TEST)' | $$($(PG_CONFIG) --cc) -x c -include openssl/sha.h - -lcrypto -o /dev/null 2>/dev/null && echo yes))
PG_CPPFLAGS += -DCDC_OPENSSL
SHLIB_LINK += -lcrypto
endif
endif
# Batches can be compressed by what the server has, where its headers are there
# (src/wire/compress.h).
LIBRARY_TEST = $(shell echo '\#include <$(1).h>' | $$($(PG_CONFIG) --cc) -E - >/dev/null 2>&1 && echo yes)
CONFIGURED := $(shell $(PG_CONFIG) --configure)
ifneq (,$(findstring --with-lz4,$(CONFIGURED)))
ifeq (yes,$(call LIBRARY_TEST,lz4))
PG_CPPFLAGS += -DCDC_LZ4
SHLIB_LINK += -llz4
endif
endif
ifneq (,$(findstring --with-zstd,$(CONFIGURED)))
ifeq (yes,$(call LIBRARY_TEST,zstd))
PG_CPPFLAGS += -DCDC_ZSTD
SHLIB_LINK += -lzstd
endif
endif
PGXS := $(shell $(PG_CONFIG) --pgxs)
# A PostgreSQL that was configured without --enable-tap-tests can run them all the same,
# once it has been given the modules.
ifneq (,$(wildcard $(dir $(PGXS))../test/perl/PostgreSQL/Test/Cluster.pm))
override enable_tap_tests = yes
endif
include $(PGXS)
PROVE := $(or $(PROVE),prove)

PROTO = proto/cdc/v1/cdc.proto
src/cdc/v1/cdc.pb-c.c: $(srcdir)/$(PROTO)
	@$(MKDIR_P) src/cdc/v1
	protoc -I$(srcdir)/proto --c_out=src $(srcdir)/$(PROTO)
src/cdc/v1/cdc.pb-c.h: src/cdc/v1/cdc.pb-c.c ;
$(OBJS): src/cdc/v1/cdc.pb-c.h $(wildcard $(srcdir)/src/*.h $(srcdir)/src/*/*.h)

# Single kinds of tests, against the server that libpq's environment points
# to, with this tree installed in it; scripts/check runs all of them.
regress:
	+$(MAKE) installcheck ISOLATION=
isolation:
	+$(MAKE) installcheck REGRESS=

PGTAP_TESTS = $(sort $(wildcard test/pgtap/*.sql))
PGTAP_DB = cdc_pgtap
PSQL = PATH='$(bindir)':"$$PATH" psql -XAtq -v ON_ERROR_STOP=1
pgtap:
	PGOPTIONS='-c client_min_messages=warning' $(PSQL) -d postgres -c 'DROP DATABASE IF EXISTS $(PGTAP_DB)' -c 'CREATE DATABASE $(PGTAP_DB)'
	$(PSQL) -d $(PGTAP_DB) -c 'CREATE EXTENSION pgtap' -c 'CREATE EXTENSION cdc'
	PATH='$(bindir)':"$$PATH" $(PROVE) $(PROVE_FLAGS) --ext .sql \
		--exec "psql -XAtq -v ON_ERROR_STOP=1 -d $(PGTAP_DB) -f" $(PGTAP_TESTS)

# These start their servers themselves.
PROVE_TESTS = $(sort $(wildcard test/tap/*.pl))
tap:
	$(prove_installcheck)

unit:
	$(MAKE) -C test/unit PG_CONFIG='$(PG_CONFIG)' check
layering:
	test/layering.sh
shadow:
	test/shadow.sh
proto:
	test/proto.sh
golden replay adversary docs:
	PATH='$(bindir)':"$$PATH" PG_CONFIG='$(PG_CONFIG)' test/$@/run.sh $(TESTS)
adversary-faults:
	PATH='$(bindir)':"$$PATH" PG_CONFIG='$(PG_CONFIG)' test/adversary/proof.sh $(TESTS)
adversary-long:
	CDC_ADVERSARY_STEPS=$${CDC_ADVERSARY_STEPS:-100000} $(MAKE) adversary TESTS='$(or $(TESTS),1)'

# A server that preloads a library which is not there does not start.
uninstall: uninstall-notice
uninstall-notice:
	@echo 'cdc: before this, in each database: SELECT cdc.drop_slot(slot_name) FROM cdc.slots; DROP EXTENSION cdc;'
	@echo 'cdc: and take cdc out of shared_preload_libraries: the server does not start again otherwise'

clean: clean-rest
clean-rest:
	rm -rf META.json cdc-*.zip tmp_check output_iso
	for dir in test/unit test/fuzz bench/noop; do $(MAKE) -C $$dir PG_CONFIG='$(PG_CONFIG)' clean || exit 1; done

.PHONY: uninstall-notice regress isolation pgtap tap unit layering shadow proto golden replay adversary docs adversary-long adversary-faults clean-rest

endif
