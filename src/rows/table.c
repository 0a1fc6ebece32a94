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

#include "compat.h"
#include "redact/redactcodec.h"
#include "rows/table.h"
#include "schema/descriptor.h"
#include "util/guard.h"
#include "util/utf8.h"
#include "values/typcodec.h"
#include "values/builttext.h"
#include "wire/fields.h"
#include "wire/wire.h"

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
	cdc_append_qualified(&out, get_namespace_name(type->typnamespace), NameStr(type->typname));
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
	bool		guarded = column->codec.may_raise || column->attlen == -1;

	if (attnum == 0 || tupdesc->constr == NULL || tupdesc->constr->missing == NULL)
		return;
	stored = &tupdesc->constr->missing[attnum - 1];
	if (!stored->am_present)
		return;
	missing.value = stored->am_value;
	initStringInfo(&missing.row);
	missing.row.cursor = guarded ? MAX_MISSING : 0;
	if (!guarded)
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

/* A table that is being resolved. What is kept goes into one memory context, all else into
 * another, which is current. */
typedef struct Resolving
{
	CdcTable   *table;
	Relation	rel;
	const CdcTableView *view;
	Bitmapset  *key;			/* as far as it is sent */
	Cdc__V1__Table desc;
	int			missing_total;	/* see describe_missing() */
	MemoryContext result_cxt;
} Resolving;

/* What is known of a column before its encoder is. */
typedef struct ColumnSource
{
	Form_pg_attribute att;
	bool		is_key;
	bool		sent;			/* itself, or what stands for it */
	const CdcRedaction *redaction;
	const Cdc__V1__Column *older;
} ColumnSource;

static Cdc__V1__ReplicaIdentity
wire_identity(char relreplident)
{
	for (int i = 0; i < lengthof(identities); i++)
		if (identities[i].relreplident == relreplident)
			return identities[i].identity;
	return CDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_UNSPECIFIED;
}

/* The table without its columns, in the current memory context. */
static CdcTable *
make_table(Relation rel, const Bitmapset *key, int natts)
{
	CdcTable   *table = palloc0(sizeof(CdcTable));

	table->relid = RelationGetRelid(rel);
	table->replident = rel->rd_rel->relreplident;
	table->keys = palloc(sizeof(CdcColumn) * Max(bms_num_members(key), 1));
	table->others = palloc(sizeof(CdcColumn) * natts);
	table->varlena = palloc(sizeof(AttrNumber) * natts);
	table->types = palloc(sizeof(uint32) * natts);
	return table;
}

static void
begin_description(Resolving *r, int natts)
{
	const CdcTableView *view = r->view;
	const Cdc__V1__Table *older = view->older;

	r->desc.schema = older != NULL ? older->schema :
		cdc_utf8(get_namespace_name(RelationGetNamespace(view->as)));
	r->desc.name = older != NULL ? older->name : cdc_utf8(RelationGetRelationName(view->as));
	r->desc.columns = palloc(sizeof(Cdc__V1__Column *) *
							 (natts + (older != NULL ? older->n_columns : 0)));
	r->desc.replica_identity = wire_identity(r->table->replident);
}

/* The encoder, in the memory of the result. */
static void
resolve_codec(Resolving *r, CdcCodec *codec, const ColumnSource *source)
{
	Form_pg_attribute att = source->att;
	CdcTable   *table = r->table;
	MemoryContext scratch = MemoryContextSwitchTo(r->result_cxt);

	cdc_codec_init(codec, att->attnum, att->atttypid);
	if (source->older != NULL && cdc_type_widens(source->older->type, codec->type))
		cdc_codec_narrow(codec);
	if (source->redaction != NULL && source->sent)
		cdc_redaction_codec(codec, CDC_REDACTED_BASE + att->attnum, att->atttypid, source->redaction,
							r->view->withheld);
	if (source->sent && cdc_codec_built(codec) != NULL)
		table->built = lappend(table->built, cdc_codec_built(codec));
	MemoryContextSwitchTo(scratch);
	table->may_raise |= codec->may_raise;
	table->needs_settings |= codec->needs_settings;
}

/* Adds a column to those that are sent; one that is not is resolved for its description. */
static CdcColumn *
add_column(Resolving *r, const ColumnSource *source, CdcColumn *unsent)
{
	Form_pg_attribute att = source->att;
	CdcTable   *table = r->table;
	CdcColumn  *column = unsent;

	if (source->sent)
		column = source->is_key ? &table->keys[table->nkeys++] : &table->others[table->nothers++];
	column->attnum = att->attnum;
	column->attbyval = att->attbyval;
	column->attlen = att->attlen;
	if (att->attlen == -1 && source->sent)
		table->varlena[table->nvarlena++] = att->attnum;
	resolve_codec(r, &column->codec, source);
	return column;
}

static void
describe_column(Resolving *r, const CdcColumn *column, const ColumnSource *source)
{
	Form_pg_attribute att = source->att;
	Cdc__V1__Column *d = palloc(sizeof(Cdc__V1__Column));

	cdc__v1__column__init(d);
	d->number = att->attnum;
	d->name = cdc_utf8(NameStr(att->attname));
	d->pg_type = cdc_utf8(type_name(r->table, att->atttypid, att->atttypmod));
	d->not_null = att->attnotnull;
	if (source->older != NULL)
		describe_older(d, source->older);
	d->type = column->codec.type;
	if (column->codec.array != NULL)
		d->element = column->codec.array->element.type;
	d->key = source->is_key;
	d->generated = att->attgenerated != '\0';
	if (source->redaction != NULL)
	{
		d->redaction = cdc_methods[source->redaction->method].wire;
		r->table->restricted = true;
	}
	if (source->sent)
		describe_missing(d, column, RelationGetDescr(r->rel), own_attnum(r->view, att->attnum),
						 &r->missing_total);
	r->desc.columns[r->desc.n_columns++] = d;
}

static void
resolve_column(Resolving *r, Form_pg_attribute att)
{
	const CdcTableView *view = r->view;
	ColumnSource source = {att};
	CdcColumn	unsent = {0};

	if (view->older != NULL)
	{
		source.older = cdc_column_find(view->older, att->attnum);
		if (source.older == NULL)
			return;
	}
	if (view->columns != NULL && !bms_is_member(att->attnum, view->columns))
		return;
	if (att->attisdropped && source.older != NULL)
		r->desc.columns[r->desc.n_columns++] = absent_column(source.older);
	if (att->attisdropped || att->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
		return;
	source.is_key = bms_is_member(att->attnum, r->key);
	source.redaction = redaction_of(view, att->attnum);
	source.sent = source.redaction == NULL || cdc_method_sends(source.redaction->method);
	describe_column(r, add_column(r, &source, &unsent), &source);
}

/* Columns of an older version that were added after the change. */
static void
add_later_columns(Resolving *r, int natts)
{
	const Cdc__V1__Table *older = r->view->older;

	for (size_t i = 0; older != NULL && i < older->n_columns; i++)
		if (older->columns[i]->number > natts && r->view->columns == NULL)
			r->desc.columns[r->desc.n_columns++] = absent_column(older->columns[i]);
}

static void
pack_description(Resolving *r)
{
	CdcTable   *table = r->table;

	table->descriptor_len = cdc__v1__table__get_packed_size(&r->desc);
	table->descriptor = MemoryContextAlloc(r->result_cxt, table->descriptor_len);
	cdc__v1__table__pack(&r->desc, (uint8_t *) table->descriptor);
	table->fingerprint = cdc_fingerprint(table->descriptor, table->descriptor_len);
}

CdcTable *
cdc_table_resolve(Relation rel, const CdcTableView *view)
{
	CdcTableView itself = {rel};
	Resolving	r = {.rel = rel, .view = view != NULL ? view : &itself, .desc = CDC__V1__TABLE__INIT};
	TupleDesc	tupdesc = RelationGetDescr(r.view->as);
	int			natts = Max(tupdesc->natts, 1);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "cdc resolve",
												  ALLOCSET_DEFAULT_SIZES);
	bool		hidden;

	r.result_cxt = MemoryContextSwitchTo(scratch);
	r.key = map_key(key_columns(rel), r.view);
	hidden = !key_is_sent(r.view, r.key);
	MemoryContextSwitchTo(r.result_cxt);
	r.table = make_table(rel, hidden ? NULL : r.key, natts);
	if (hidden)
		r.key = hide_key(r.table, r.key, natts);
	MemoryContextSwitchTo(scratch);
	begin_description(&r, natts);
	for (int i = 0; i < tupdesc->natts; i++)
	{
		CHECK_FOR_INTERRUPTS();
		resolve_column(&r, TupleDescAttr(tupdesc, i));
	}
	add_later_columns(&r, tupdesc->natts);
	pack_description(&r);
	MemoryContextSwitchTo(r.result_cxt);
	MemoryContextDelete(scratch);
	return r.table;
}
