/*
 * metadata.c
 *	  Keeps the metadata of one transaction, sorted by key.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "wire/fields.h"
#include "wire/metadata.h"
#include "wire/wire.h"

typedef struct Text
{
	const char *data;
	int			len;
} Text;

typedef struct Entry
{
	Text		key;
	Text		value;
} Entry;

struct CdcMetadata
{
	MemoryContext cxt;			/* of the texts */
	int			count;
	int			bytes;
	Entry		entries[CDC_METADATA_MAX_ENTRIES];
};

CdcMetadata *
cdc_metadata_create(MemoryContext parent)
{
	CdcMetadata *metadata = MemoryContextAllocZero(parent, sizeof(CdcMetadata));

	metadata->cxt = AllocSetContextCreate(parent, "cdc metadata", ALLOCSET_SMALL_SIZES);
	return metadata;
}

void
cdc_metadata_clear(CdcMetadata *metadata)
{
	if (metadata->count == 0)
		return;
	MemoryContextReset(metadata->cxt);
	metadata->count = 0;
	metadata->bytes = 0;
}

static int
compare(Text a, Text b)
{
	int			result = memcmp(a.data, b.data, Min(a.len, b.len));

	return result != 0 ? result : a.len - b.len;
}

/* Reads a cdc.v1.Metadata. */
static bool
parse_entry(Entry *entry, const char *content, Size len)
{
	CdcCursor	cursor = cdc_cursor(content, len);
	CdcField	field;

	memset(entry, 0, sizeof(*entry));
	while (cdc_read_field(&cursor, &field))
	{
		Text	   *text;

		if (field.number == CDC_METADATA_KEY)
			text = &entry->key;
		else if (field.number == CDC_METADATA_VALUE)
			text = &entry->value;
		else
			continue;
		if (field.type != CDC_WIRE_LEN || field.len > CDC_METADATA_MAX_BYTES ||
			memchr(field.data, '\0', field.len) != NULL ||
			pg_encoding_verifymbstr(PG_UTF8, field.data, (int) field.len) != (int) field.len)
			return false;
		text->data = field.data;
		text->len = (int) field.len;
	}
	return cursor.error == NULL && entry->key.len > 0;
}

static Text
copy_text(MemoryContext cxt, Text text)
{
	char	   *copy = MemoryContextAlloc(cxt, Max(text.len, 1));

	if (text.len > 0)
		memcpy(copy, text.data, text.len);
	return (Text) {copy, text.len};
}

bool
cdc_metadata_add(CdcMetadata *metadata, const char *content, Size len)
{
	Entry		entry;
	int			at = 0;
	int			bytes;
	bool		replaces;

	if (!parse_entry(&entry, content, len))
		return false;
	while (at < metadata->count && compare(metadata->entries[at].key, entry.key) < 0)
		at++;
	replaces = at < metadata->count && compare(metadata->entries[at].key, entry.key) == 0;
	bytes = metadata->bytes + entry.key.len + entry.value.len;
	if (replaces)
		bytes -= metadata->entries[at].key.len + metadata->entries[at].value.len;
	if (bytes > CDC_METADATA_MAX_BYTES ||
		(!replaces && metadata->count == CDC_METADATA_MAX_ENTRIES))
		return false;
	if (!replaces)
	{
		memmove(&metadata->entries[at + 1], &metadata->entries[at],
				sizeof(Entry) * (metadata->count - at));
		metadata->count++;
		metadata->entries[at].key = copy_text(metadata->cxt, entry.key);
	}
	else
		pfree(unconstify(char *, metadata->entries[at].value.data));
	metadata->entries[at].value = copy_text(metadata->cxt, entry.value);
	metadata->bytes = bytes;
	return true;
}

void
cdc_metadata_write(StringInfo out, uint32 field, const CdcMetadata *metadata)
{
	for (int i = 0; i < metadata->count; i++)
	{
		const Entry *entry = &metadata->entries[i];
		int			body = cdc_msg_begin(out, field);

		cdc_field_bytes(out, CDC_MAP_KEY, entry->key.data, entry->key.len);
		cdc_field_bytes(out, CDC_MAP_VALUE, entry->value.data, entry->value.len);
		cdc_msg_end(out, body);
	}
}
