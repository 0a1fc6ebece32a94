/*
 * fields.c
 *	  The field numbers in src/wire/fields.h are those of cdc.proto.
 */
#include "postgres_fe.h"

#include <ctype.h>

#include "cdc/v1/cdc.pb-c.h"
#include "tap.h"

/* Made from src/wire/fields.h: CDC_<MESSAGE>_<FIELD> = number. */
static const struct
{
	const char *name;
	unsigned	number;
}			fields[] = {
#define FIELD(name, number) {name, number},
#include "fields.inc"
#undef FIELD
};

static const struct
{
	const char *prefix;
	const ProtobufCMessageDescriptor *message;
}			messages[] = {
	{"BATCH_", &cdc__v1__batch__descriptor},
	{"SOURCE_", &cdc__v1__source__descriptor},
	{"SNAPSHOT_", &cdc__v1__snapshot__descriptor},
	{"TRANSACTION_", &cdc__v1__transaction__descriptor},
	{"MAP_", &cdc__v1__transaction__metadata_entry__descriptor},
	{"METADATA_", &cdc__v1__metadata__descriptor},
	{"SCHEMA_CHANGE_", &cdc__v1__schema_change__descriptor},
	{"SCHEMA_VERSION_", &cdc__v1__schema_version__descriptor},
	{"EVENT_", &cdc__v1__change_event__descriptor},
	{"TRUNCATE_", &cdc__v1__truncate__descriptor},
	{"MESSAGE_", &cdc__v1__message__descriptor},
	{"FAILURE_", &cdc__v1__failure__descriptor},
	{"TIMETZ_", &cdc__v1__time_tz__descriptor},
	{"INTERVAL_", &cdc__v1__interval__descriptor},
};

static const ProtobufCFieldDescriptor *
find(const char *name)
{
	for (int i = 0; i < lengthof(messages); i++)
	{
		size_t		len = strlen(messages[i].prefix);
		char		field[64];
		int			n = 0;

		if (strncmp(name, messages[i].prefix, len) != 0)
			continue;
		for (const char *p = name + len; *p != '\0' && n < sizeof(field) - 1; p++)
			field[n++] = (char) tolower((unsigned char) *p);
		field[n] = '\0';
		return protobuf_c_message_descriptor_get_field_by_name(messages[i].message, field);
	}
	return NULL;
}

int
main(void)
{
	ok(lengthof(fields) >= 30, "src/wire/fields.h lists %d field numbers", (int) lengthof(fields));
	for (int i = 0; i < lengthof(fields); i++)
	{
		const ProtobufCFieldDescriptor *f = find(fields[i].name);

		if (!ok(f != NULL && f->id == fields[i].number, "CDC_%s is %u",
				fields[i].name, fields[i].number))
			diag("cdc.proto: %s %u", f ? f->name : "no such field", f ? f->id : 0);
	}
	return done_testing();
}
