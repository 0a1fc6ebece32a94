/*
 * table.c
 *	  Resolves a relation: its columns, key, encoders and serialized Table.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tupdesc_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "builttext.h"
#include "compat.h"
#include "guard.h"
#include "older.h"
#include "table.h"
#include "wire.h"

/* What the values of older rows may take, of all columns of a table. A schema is sent
 * often, with some options in every batch, and kept in memory. */
#define MAX_MISSING (64 * 1024)

bool
cdc_table_is_sent(Relation rel)
{
	char	   *nspname;
	Oid			extension;

	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	/* The extension's tables are all in its own schema. */
	nspname = get_namespace_name(RelationGetNamespace(rel));
	if (nspname == NULL || strcmp(nspname, "cdc") != 0)
		return true;
	extension = getExtensionOfObject(RelationRelationId, RelationGetRelid(rel));
	return !OidIsValid(extension) || extension != get_extension_oid("cdc", true);
}

void
cdc_append_identifier(StringInfo out, const char *name)
{
	bool		plain = (name[0] >= 'a' && name[0] <= 'z') || name[0] == '_';

	for (const char *p = name; *p != '\0' && plain; p++)
		plain = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_';
	if (plain)
	{
		appendStringInfoString(out, name);
		return;
	}
	appendStringInfoChar(out, '"');
	for (const char *p = name; *p != '\0'; p++)
	{
		if (*p == '"')
			appendStringInfoChar(out, '"');
		appendStringInfoChar(out, *p);
	}
	appendStringInfoChar(out, '"');
}

/* Modifiers in parentheses, as they may stand behind a qualified name. What is printed for an
 * interval may not: its fields and precision have to be numbers there. */
static void
append_modifiers(StringInfo out, Oid typmodout, int32 typmod)
{
	char	   *text;
	size_t		len;

	if (typmodout == F_INTERVALTYPMODOUT)
	{
		appendStringInfo(out, "(%d", INTERVAL_RANGE(typmod));
		if (INTERVAL_PRECISION(typmod) != INTERVAL_FULL_PRECISION)
			appendStringInfo(out, ",%d", INTERVAL_PRECISION(typmod));
		appendStringInfoChar(out, ')');
		return;
	}
	if (!OidIsValid(typmodout))
	{
		appendStringInfo(out, "(%d)", typmod);
		return;
	}
	text = DatumGetCString(OidFunctionCall1(typmodout, Int32GetDatum(typmod)));
	/* "(3) with time zone": the name has the rest already */
	len = strcspn(text, ")");
	appendBinaryStringInfo(out, text, len + (text[len] == ')'));
}

/*
 * The declared type: schema.name, modifiers, [] for arrays. Unlike
 * format_type() it never depends on the search_path and qualifies all types.
 */
static char *
type_name(CdcTable *table, Oid typid, int32 typmod)
{
	Oid			elem = cdc_array_element(typid);
	Oid			named = OidIsValid(elem) ? elem : typid;
	HeapTuple	tup;
	Form_pg_type type;
	StringInfoData out;

	initStringInfo(&out);
	tup = SearchSysCache1(TYPEOID, ObjectIdGetDatum(named));
	if (!HeapTupleIsValid(tup))
		return pstrdup("???");
	table->types[table->ntypes++] = GetSysCacheHashValue1(TYPEOID, ObjectIdGetDatum(named));
	type = (Form_pg_type) GETSTRUCT(tup);
	cdc_append_identifier(&out, get_namespace_name(type->typnamespace));
	appendStringInfoChar(&out, '.');
	cdc_append_identifier(&out, NameStr(type->typname));
	if (typmod >= 0)
		append_modifiers(&out, type->typmodout, typmod);
	ReleaseSysCache(tup);
	if (OidIsValid(elem))
		appendStringInfoString(&out, "[]");
	return out.data;
}

/* Under FULL and NOTHING the server needs no key, and the primary key serves. */
Oid
cdc_key_index(Relation rel)
{
	char		replident = rel->rd_rel->relreplident;

	if (replident != REPLICA_IDENTITY_FULL && replident != REPLICA_IDENTITY_NOTHING)
		return RelationGetReplicaIndex(rel);
	(void) RelationGetIndexList(rel);	/* finds the primary key */
	return cdc_primary_key_index(rel);
}

/*
 * The columns of the key, as attnums. Read past the system cache, which would
 * keep a row for every table that was ever changed.
 */
static Bitmapset *
key_columns(Relation rel)
{
	Oid			index = cdc_key_index(rel);
	Relation	pg_index;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tup;
	Bitmapset  *columns = NULL;

	if (!OidIsValid(index))
		return NULL;
	pg_index = table_open(IndexRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_index_indexrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(index));
	scan = systable_beginscan(pg_index, IndexRelidIndexId, true, NULL, 1, &key);
	if (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tup);

		for (int i = 0; i < form->indnkeyatts; i++)
			columns = bms_add_member(columns, form->indkey.values[i]);
	}
	systable_endscan(scan);
	table_close(pg_index, AccessShareLock);
	return columns;
}

static const struct
{
	char		relreplident;
	Cdc__V1__ReplicaIdentity identity;
}			identities[] =
{
	{REPLICA_IDENTITY_DEFAULT, CDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_DEFAULT},
	{REPLICA_IDENTITY_NOTHING, CDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_NOTHING},
	{REPLICA_IDENTITY_FULL, CDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_FULL},
	{REPLICA_IDENTITY_INDEX, CDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_INDEX},
};

/* What encode_missing() needs. */
typedef struct MissingValue
{
	const CdcColumn *column;
	Datum		value;
	StringInfoData row;
} MissingValue;

static void
encode_missing(void *arg)
{
	MissingValue *missing = arg;
	const CdcCodec *codec = &missing->column->codec;

	codec->encode(&missing->row, codec, missing->value);
}

/*
 * The value of rows that are older than the column, as a row of its own; or
 * that it cannot be told. *total is what the table's values take so far.
 */
static void
describe_missing(Cdc__V1__Column *desc, const CdcColumn *column, TupleDesc tupdesc,
				 AttrNumber attnum, int *total)
{
	AttrMissing *stored;
	MissingValue missing = {column};
	/* one that may be long is not made longer than there is room for */
	bool		careful = column->codec.may_raise || column->attlen == -1;

	if (attnum == 0 || tupdesc->constr == NULL || tupdesc->constr->missing == NULL)
		return;
	stored = &tupdesc->constr->missing[attnum - 1];
	if (!stored->am_present)
		return;
	missing.value = stored->am_value;
	initStringInfo(&missing.row);
	missing.row.cursor = careful ? MAX_MISSING : 0;
	if (!careful)
		encode_missing(&missing);
	else if (cdc_guarded(encode_missing, &missing) != NULL)
		missing.row.len = MAX_MISSING + 1;
	if (*total + missing.row.len > MAX_MISSING)
	{
		desc->missing_unavailable = true;
		pfree(missing.row.data);
		return;
	}
	*total += missing.row.len;
	desc->missing.data = (uint8_t *) missing.row.data;
	desc->missing.len = missing.row.len;
}

/* The relation's own attnum. */
static AttrNumber
own_attnum(const CdcTableView *view, AttrNumber attnum)
{
	return view->map == NULL ? attnum : view->map[attnum - 1];
}

/* The same column for column as the view numbers them. */
static Bitmapset *
map_key(const Bitmapset *key, const CdcTableView *view)
{
	Bitmapset  *mapped = NULL;

	for (int i = 1; i <= RelationGetNumberOfAttributes(view->as); i++)
		if (bms_is_member(own_attnum(view, i), key))
			mapped = bms_add_member(mapped, i);
	return mapped;
}

static const CdcRedaction *
redaction_of(const CdcTableView *view, AttrNumber attnum)
{
	AttrNumber	own = own_attnum(view, attnum);

	return view->redactions == NULL || own == 0 ? NULL : view->redactions[own - 1];
}

/* Whether all columns of a key are sent, exact or hashed. */
static bool
key_is_sent(const CdcTableView *view, const Bitmapset *key)
{
	int			attnum = -1;

	if (view->columns != NULL && !bms_is_subset(key, view->columns))
		return false;
	while ((attnum = bms_next_member(key, attnum)) >= 0)
	{
		const CdcRedaction *redaction = redaction_of(view, attnum);

		if (redaction != NULL && redaction->method != CDC_METHOD_HASH)
			return false;
	}
	return true;
}

/* A column of the older schema that rows do not have any more, or not yet. */
static Cdc__V1__Column *
absent_column(const Cdc__V1__Column *older)
{
	Cdc__V1__Column *desc = palloc(sizeof(Cdc__V1__Column));

	*desc = *older;
	desc->missing.len = 0;
	desc->missing_unavailable = false;
	return desc;
}

/* What the older schema says of a column. */
static void
describe_older(Cdc__V1__Column *desc, const Cdc__V1__Column *older)
{
	desc->name = older->name;
	desc->pg_type = older->pg_type;
	desc->not_null = older->not_null;
}

/* A key of which a column is not sent is none. */
static Bitmapset *
hide_key(CdcTable *table, Bitmapset *key, int natts)
{
	int			attnum = -1;

	table->identity = palloc0(sizeof(bool) * natts);
	while ((attnum = bms_next_member(key, attnum)) >= 0)
		table->identity[attnum - 1] = true;
	return NULL;
}

bool
cdc_table_uses(const CdcTable *table, Oid relid)
{
	ListCell   *lc;

	foreach(lc, table->built)
		if (cdc_built_uses(lfirst(lc), relid))
			return true;
	return false;
}

CdcTable *
cdc_table_resolve(Relation rel, const CdcTableView *view)
{
	CdcTableView itself = {rel};
	TupleDesc	tupdesc;
	int			natts;
	CdcTable   *table = palloc0(sizeof(CdcTable));
	Cdc__V1__Table desc = CDC__V1__TABLE__INIT;
	Cdc__V1__Column *columns;
	Bitmapset  *key;
	int			missing_total = 0;
	/* what is kept goes here, and all else into a context of its own */
	MemoryContext result_cxt = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(result_cxt, "cdc resolve",
												  ALLOCSET_DEFAULT_SIZES);

	if (view == NULL)
		view = &itself;
	tupdesc = RelationGetDescr(view->as);
	natts = Max(tupdesc->natts, 1);
	MemoryContextSwitchTo(scratch);
	key = map_key(key_columns(rel), view);
	MemoryContextSwitchTo(result_cxt);
	if (!key_is_sent(view, key))
		key = hide_key(table, key, natts);

	table->withheld = palloc0(sizeof(bool));
	table->relid = RelationGetRelid(rel);
	table->replident = rel->rd_rel->relreplident;
	table->keys = palloc(sizeof(CdcColumn) * Max(bms_num_members(key), 1));
	table->rest = palloc(sizeof(CdcColumn) * natts);
	table->varlena = palloc(sizeof(AttrNumber) * natts);
	table->types = palloc(sizeof(uint32) * natts);

	MemoryContextSwitchTo(scratch);
	columns = palloc0(sizeof(Cdc__V1__Column) * natts);
	desc.schema = view->older != NULL ? view->older->schema :
		cdc_utf8(get_namespace_name(RelationGetNamespace(view->as)));
	desc.name = view->older != NULL ? view->older->name :
		cdc_utf8(RelationGetRelationName(view->as));
	desc.columns = palloc(sizeof(Cdc__V1__Column *) *
						  (natts + (view->older != NULL ? view->older->n_columns : 0)));
	for (int i = 0; i < lengthof(identities); i++)
		if (identities[i].relreplident == table->replident)
			desc.replica_identity = identities[i].identity;

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);
		Cdc__V1__Column *d = &columns[desc.n_columns];
		bool		is_key = bms_is_member(att->attnum, key);
		const CdcRedaction *redaction = redaction_of(view, att->attnum);
		const Cdc__V1__Column *older = view->older == NULL ? NULL :
			cdc_older_column(view->older, att->attnum);
		CdcColumn	unsent = {0};
		CdcColumn  *column;

		CHECK_FOR_INTERRUPTS();
		if (view->older != NULL && older == NULL)
			continue;
		if (view->columns != NULL && !bms_is_member(att->attnum, view->columns))
			continue;
		if (att->attisdropped && older != NULL)
			desc.columns[desc.n_columns++] = absent_column(older);
		if (att->attisdropped || att->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
			continue;
		if (redaction != NULL && !cdc_method_sends(redaction->method))
			column = &unsent;
		else
			column = is_key ? &table->keys[table->nkeys++] : &table->rest[table->nrest++];
		column->attnum = att->attnum;
		column->attbyval = att->attbyval;
		column->attlen = att->attlen;
		if (att->attlen == -1 && column != &unsent)
			table->varlena[table->nvarlena++] = att->attnum;
		MemoryContextSwitchTo(result_cxt);
		cdc_codec_init(&column->codec, att->attnum, att->atttypid);
		if (older != NULL && cdc_older_narrows(older, column->codec.type))
			cdc_codec_narrow(&column->codec);
		if (redaction != NULL && column != &unsent)
			cdc_redaction_codec(&column->codec, CDC_REDACTED_BASE + att->attnum, att->atttypid, redaction,
								table->withheld);
		if (column != &unsent && cdc_codec_built(&column->codec) != NULL)
			table->built = lappend(table->built, cdc_codec_built(&column->codec));
		MemoryContextSwitchTo(scratch);
		table->may_raise |= column->codec.may_raise;
		table->needs_settings |= column->codec.needs_settings;

		cdc__v1__column__init(d);
		d->number = att->attnum;
		d->name = cdc_utf8(NameStr(att->attname));
		d->pg_type = cdc_utf8(type_name(table, att->atttypid, att->atttypmod));
		d->not_null = att->attnotnull;
		if (older != NULL)
			describe_older(d, older);
		d->type = column->codec.type;
		if (column->codec.array != NULL)
			d->element = column->codec.array->element.type;
		d->key = is_key;
		d->generated = att->attgenerated != '\0';
		if (redaction != NULL)
		{
			d->redaction = cdc_method_wire(redaction->method);
			table->restricted = true;
		}
		if (column != &unsent)
			describe_missing(d, column, RelationGetDescr(rel), own_attnum(view, att->attnum),
							 &missing_total);
		desc.columns[desc.n_columns++] = d;
	}
	/* columns that were added after the change */
	for (size_t i = 0; view->older != NULL && i < view->older->n_columns; i++)
		if (view->older->columns[i]->number > tupdesc->natts && view->columns == NULL)
			desc.columns[desc.n_columns++] = absent_column(view->older->columns[i]);

	table->descriptor_len = cdc__v1__table__get_packed_size(&desc);
	table->descriptor = MemoryContextAlloc(result_cxt, table->descriptor_len);
	cdc__v1__table__pack(&desc, (uint8_t *) table->descriptor);
	table->fingerprint = cdc_fingerprint(table->descriptor, table->descriptor_len);
	MemoryContextSwitchTo(result_cxt);
	MemoryContextDelete(scratch);
	return table;
}
