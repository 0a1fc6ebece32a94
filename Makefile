# cdc: change data capture out of PostgreSQL.
#
#   make PG_CONFIG=/path/to/pg_config && sudo make install
#   make check          everything, on servers of its own (scripts/check)
#   make demo           a stream to look at (scripts/demo)
#   make lint           how the tree is written; make format mends what it can (scripts/lint)
#   make package        Debian packages, and tarball: the programs in Go (scripts/package, scripts/tarball)
#   make installcheck   the regression tests, against your running server

# Where this file is: not where make runs, in a build elsewhere (make -f, VPATH).
TREE := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
EXTENSION = cdc
# Where the project lives, as it is named everywhere; scripts/versions --home writes it.
HOME_URL = https://github.com/pgcdc/cdc
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(TREE)/cdc.control)
MODULE_big = cdc

# The install script: its parts, in this order, with an empty line between two.
SQL_PARTS = begin library guard tables changed slots stats ddl reading snapshot schema \
	redact_tables redact_follow redact_secret redact_rules redact_views grants \
	security_report redaction_report \
	registry_tables registry_compare registry_check registry_record registry_register registry_ddl registry_views \
	metadata track end
ifneq ($(sort $(SQL_PARTS)),$(sort $(notdir $(basename $(wildcard $(TREE)/install/*.sql)))))
$(error SQL_PARTS of the Makefile are not the files of install/)
endif
# What makes one version of it another: install/updates/1.0--1.1.sql, behind the guard.
UPDATES := $(notdir $(wildcard $(TREE)/install/updates/*.sql))
# (by their whole names: make would take others, in the tree, for them)
UPDATE_SCRIPTS := $(UPDATES:%=$(CURDIR)/cdc--%)
DATA_built = $(CURDIR)/cdc--$(EXTVERSION).sql $(UPDATE_SCRIPTS)

# The rooms of src/, from the lowest to the highest: an include points to the same room or to
# one before it, which test/layering.sh checks. See docs/design.md.
ROOMS = util catalog wire values schema json redact rows registry access options select session snapshot slots
OBJS = $(patsubst $(or $(srcdir),.)/%.c,%.o,$(sort $(wildcard $(or $(srcdir),.)/src/*.c) \
	$(foreach room,$(ROOMS),$(wildcard $(or $(srcdir),.)/src/$(room)/*.c)))) \
	src/cdc/v1/cdc.pb-c.o

PG_CPPFLAGS = -I$(srcdir)/src -Isrc -DCDC_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare
PROTOBUF_C ?= -lprotobuf-c
SHLIB_LINK = $(PROTOBUF_C)
EXTRA_CLEAN = src/cdc

# The regression tests, one file a theme, and what runs beside one another.
REGRESS := setup $(filter-out setup,$(sort $(notdir $(basename $(wildcard sql/*.sql)))))
ISOLATION := $(sort $(notdir $(basename $(wildcard test/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test

# What has a server of its own, or needs none. These work without pg_config
# (they install what is missing), so the goals that need it are left out.
SCRIPTED = check demo lint format bench sanitize fuzz fuzz-long soak mutants adversary-proof observability-live \
	observability-faults matrix package package-test upgrade-test relay-profile tarball publish site release dist META.json
ifneq (,$(and $(MAKECMDGOALS),$(if $(filter-out $(SCRIPTED),$(MAKECMDGOALS)),,yes)))

check:
	+scripts/check
demo:
	+scripts/demo
lint:
	+scripts/lint $(TESTS)
format:
	+scripts/lint --fix
bench:
	+bench/run
sanitize:
	+SANITIZE=1 scripts/check
fuzz:
	+scripts/fuzz
fuzz-long:
	+FUZZ_RUNS=100000000 scripts/fuzz
relay-profile:
	+relay/profile.sh
soak:
	+scripts/check go-long rust-long relay-long adversary-long
mutants:
	+scripts/mutants
adversary-proof:
	+scripts/check adversary-faults
observability-live observability-faults:
	+scripts/check $@
matrix:
	+scripts/matrix
publish:
	+test/release/publish.sh $(TESTS)
site:
	+scripts/site
release:
	+scripts/release --dry-run
package:
	+scripts/package $(SUITES)
upgrade-test:
	+test/packages/pg_upgrade.sh
package-test:
	+test/packages/tarball.sh
	+test/packages/prefix.sh
	+test/packages/containerfile.sh
	+test/packages/rpm.sh
	+scripts/package --test $(SUITES)
	+test/packages/autopkgtest.sh
tarball:
	+scripts/tarball

META.json: META.json.in cdc.control
	sed 's/@VERSION@/$(EXTVERSION)/g; s,@HOME@,$(HOME_URL),g' META.json.in > $@
dist: META.json $(DATA_built)
	git archive --format=zip --prefix=cdc-$(EXTVERSION)/ --add-file=META.json $(DATA_built:%=--add-file=%) -o cdc-$(EXTVERSION).zip HEAD

.PHONY: $(filter-out META.json,$(SCRIPTED))

else

# Objects have their folders in a build elsewhere, too.
MADE := $(shell mkdir -p $(ROOMS:%=src/%))

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
# The numbers of the columns of our tables, out of the install script. What does not change
# it compiles nothing anew.
src/cdc/columns.h: $(SQL_PARTS:%=$(TREE)/install/%.sql) $(TREE)/install/columns.awk
	@$(MKDIR_P) src/cdc
	@awk -f $(TREE)/install/columns.awk $(filter %.sql,$^) >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$(OBJS:.o=.bc): src/cdc/columns.h src/cdc/v1/cdc.pb-c.h
$(OBJS): src/cdc/columns.h src/cdc/v1/cdc.pb-c.h $(wildcard $(srcdir)/src/*.h $(srcdir)/src/*/*.h)

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
elsewhere:
	PG_CONFIG='$(PG_CONFIG)' test/elsewhere.sh
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
	for dir in $(wildcard test/unit test/fuzz bench/noop); do $(MAKE) -C $$dir PG_CONFIG='$(PG_CONFIG)' clean || exit 1; done

.PHONY: uninstall-notice regress isolation pgtap tap unit layering shadow elsewhere proto golden replay adversary docs adversary-long adversary-faults clean-rest

endif

$(CURDIR)/cdc--$(EXTVERSION).sql: $(SQL_PARTS:%=$(TREE)/install/%.sql) $(TREE)/Makefile
	awk 'FNR == 1 && NR > 1 { print "" } { print }' $(filter %.sql,$^) >$@
$(UPDATE_SCRIPTS): $(CURDIR)/cdc--%: $(TREE)/install/updates/% $(TREE)/install/guard.sql
	{ printf '%s\n' '\echo Use "ALTER EXTENSION cdc UPDATE" to load this file. \quit' \
	  'SET LOCAL search_path = pg_catalog, pg_temp;'; cat $(TREE)/install/guard.sql; echo; cat $<; } >$@
