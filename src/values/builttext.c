/*
 * builttext.c
 *	  Writes composite values, and what contains them, as their text.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tupmacs.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_range.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/multirangetypes.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

#include "compat.h"
#include "values/builttext.h"
#include "wire/wire.h"

/* So many levels are looked at before a value is met; what is deeper is built. */
#define MAX_LOOK 32

/* What is remembered of types' attributes, before it is forgotten between two values. */
#define MAX_ATTRIBUTES 16384

/* How newer minor releases mark a composite value that has a version; headers of others do
 * not say so. */
#define IS_DATUM (HEAP_XMAX_COMMITTED | HEAP_XMAX_INVALID)
#define HAS_VERSION 0xfffc

typedef struct Type Type;

/* An attribute of a composite type. */
typedef struct Attribute
{
	Oid			typid;
	int16		len;
	bool		byval;
	char		align;
	bool		dropped;
	bool		has_missing;
	Datum		missing;		/* the value of rows that are older than it */
	uint64		version;		/* 0: not known */
	Type	   *type;			/* NULL: no value was met yet */
} Attribute;

struct Type
{
	Oid			typid;			/* hash key: no domain */
	Oid			element;		/* of an array or range */
	bool		read;			/* what follows is set */
	void		(*write) (StringInfo out, CdcBuilt *built, Type *type, Datum value);
	int16		len;
	bool		byval;
	char		align;
	char		delimiter;		/* between elements of its arrays */
	FmgrInfo	output;
	int			natts;
	Attribute  *atts;
};

struct CdcBuilt
{
	Oid			typid;
	MemoryContext cxt;			/* of what follows */
	HTAB	   *types;
	List	   *relids;			/* of composite types */
	int			natts;			/* of all of them */
};

/* --- which types --------------------------------------------------------- */

Oid
cdc_base_type(Oid typid)
{
	for (;;)
	{
		HeapTuple	tup = SearchSysCache1(TYPEOID, ObjectIdGetDatum(typid));
		Form_pg_type form;
		Oid			base;

		if (!HeapTupleIsValid(tup))
			elog(ERROR, "cache lookup failed for type %u", typid);
		form = (Form_pg_type) GETSTRUCT(tup);
		base = form->typtype == TYPTYPE_DOMAIN ? form->typbasetype : InvalidOid;
		ReleaseSysCache(tup);
		if (!OidIsValid(base))
			return typid;
		typid = base;
		CHECK_FOR_INTERRUPTS();
	}
}

/* Of true arrays. */
static Oid
array_element(Oid typid)
{
	Oid			element = get_element_type(typid);

	return OidIsValid(element) && get_array_type(element) == typid ? element : InvalidOid;
}

/* What a range or multirange is made of. */
static Oid
range_element(Oid typid, char typtype)
{
	return typtype == TYPTYPE_RANGE ? get_range_subtype(typid) : get_multirange_range(typid);
}

bool
cdc_is_built(Oid typid)
{
	for (int level = 0; level < MAX_LOOK; level++)
	{
		char		typtype = get_typtype(typid);
		Oid			element = array_element(typid);

		if (typtype == TYPTYPE_COMPOSITE)
			return true;
		if (OidIsValid(element))
		{
			typid = cdc_base_type(element);
			if (OidIsValid(array_element(typid)))
				return true;
		}
		else if (typtype == TYPTYPE_RANGE || typtype == TYPTYPE_MULTIRANGE)
			typid = cdc_base_type(range_element(typid, typtype));
		else
			return false;
	}
	return true;
}

/* --- quotes -------------------------------------------------------------- */

/* So many bytes are looked at before interrupts are. */
#define CHUNK (64 * 1024)

/* Whether a character has to stand in quotes. */
typedef bool (*IsSpecial) (unsigned char c, char delimiter);

/* As record_out() and range_out() have it: the same characters that their input
 * functions take for something else. */
static bool
special_in_field(unsigned char c, char delimiter)
{
	return c == '"' || c == '\\' || c == '(' || c == ')' || c == ',' || isspace(c);
}

static bool
special_in_range(unsigned char c, char delimiter)
{
	return c == '[' || c == ']' || special_in_field(c, delimiter);
}

/* As array_out() has it. */
static bool
special_in_array(unsigned char c, char delimiter)
{
	return c == '"' || c == '\\' || c == '{' || c == '}' || c == (unsigned char) delimiter ||
		c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
needs_quotes(const char *text, int len, IsSpecial is_special, char delimiter)
{
	bool		found[UCHAR_MAX + 1];

	if (len == 0 || (is_special == special_in_array && len == 4 && pg_strncasecmp(text, "NULL", 4) == 0))
		return true;
	for (int c = 0; len > UCHAR_MAX && c <= UCHAR_MAX; c++)
		found[c] = is_special((unsigned char) c, delimiter);
	for (int i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if (i % CHUNK == 0)
			CHECK_FOR_INTERRUPTS();
		if (len > UCHAR_MAX ? found[c] : is_special(c, delimiter))
			return true;
	}
	return false;
}

static inline void
put_char(StringInfo out, char c)
{
	char	   *p = cdc_reserve(out, 1);

	*p = c;
	cdc_advance(out, p + 1);
}

static void
put_text(StringInfo out, const char *text, int len)
{
	char	   *p = cdc_reserve(out, len);

	memcpy(p, text, len);
	cdc_advance(out, p + len);
}

/* In a record quotes are doubled, in an array they are escaped. */
static void
put_quoted(StringInfo out, const char *text, int len, bool doubled)
{
	int			more = 2;
	char	   *p;

	for (int i = 0; i < len; i++)
	{
		if (i % CHUNK == 0)
			CHECK_FOR_INTERRUPTS();
		more += text[i] == '"' || text[i] == '\\';
	}
	if (len > INT_MAX - more)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value is too long")));
	p = cdc_reserve(out, len + more);
	*p++ = '"';
	for (int i = 0; i < len; i++)
	{
		if (i % CHUNK == 0)
			CHECK_FOR_INTERRUPTS();
		if (text[i] == '"' || text[i] == '\\')
			*p++ = doubled ? text[i] : '\\';
		*p++ = text[i];
	}
	*p++ = '"';
	cdc_advance(out, p);
}

/* --- values -------------------------------------------------------------- */

static Type *find_type(CdcBuilt *built, Oid typid);

/* A value within another one. */
static void
put_part(StringInfo out, CdcBuilt *built, Type *type, Datum value,
		 IsSpecial is_special, char delimiter, bool doubled)
{
	StringInfoData text;

	initStringInfo(&text);
	text.cursor = out->cursor;	/* the limit, see wire.h */
	type->write(&text, built, type, value);
	if (needs_quotes(text.data, text.len, is_special, delimiter))
		put_quoted(out, text.data, text.len, doubled);
	else
		put_text(out, text.data, text.len);
	pfree(text.data);
}

static void
write_output(StringInfo out, CdcBuilt *built, Type *type, Datum value)
{
	char	   *text = OutputFunctionCall(&type->output, value);

	put_text(out, text, strlen(text));
	pfree(text);
}

static void
raise_damaged(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("composite value does not fit its type")));
}

/* The next attribute of a stored row, which lies between *data and end. */
static Datum
take_attribute(const Attribute *att, const char *begin, const char **data, const char *end)
{
	int			off = *data - begin;
	const char *p;
	Size		len;

	if (*data >= end)
		raise_damaged();
	p = begin + att_align_pointer(off, att->align, att->len, *data);
	if (p >= end || (att->len == -1 &&
					 (VARATT_IS_EXTERNAL(p) || (VARATT_IS_4B(p) && end - p < VARHDRSZ))))
		raise_damaged();
	if (att->len > 0)
		len = att->len;
	else
		len = att->len == -1 ? VARSIZE_ANY(p) : strnlen(p, end - p) + 1;
	if (len > (Size) (end - p))
		raise_damaged();
	*data = p + len;
	return fetch_att(p, att->byval, att->len);
}

/*
 * Newer minor releases mark values and attributes with versions. An attribute that
 * changed after the value was made cannot be read.
 */
static void
check_version(const Attribute *att, HeapTupleHeader row)
{
	uint64		version = ((uint64) ItemPointerGetBlockNumberNoCheck(&row->t_ctid) << 32) |
		(uint32) row->t_choice.t_datum.datum_typmod;

	if ((row->t_infomask & IS_DATUM) == IS_DATUM &&
		ItemPointerGetOffsetNumberNoCheck(&row->t_ctid) == HAS_VERSION && att->version > version)
		raise_damaged();
}

static void
put_attribute(StringInfo out, CdcBuilt *built, Attribute *att, Datum value)
{
	if (att->type == NULL)
		att->type = find_type(built, cdc_base_type(att->typid));
	put_part(out, built, att->type, value, special_in_field, ',', true);
}

/* As record_out(). */
static void
write_composite(StringInfo out, CdcBuilt *built, Type *type, Datum value)
{
	/* not DatumGetHeapTupleHeader(), a function that older minor releases lack */
	HeapTupleHeader row = (HeapTupleHeader) PG_DETOAST_DATUM(value);
	const char *begin = (char *) row + row->t_hoff;
	const char *end = (char *) row + VARSIZE(row);
	const char *data = begin;
	bool		has_nulls = (row->t_infomask & HEAP_HASNULL) != 0;
	int			stored = HeapTupleHeaderGetNatts(row);
	bool		first = true;

	put_char(out, '(');
	for (int i = 0; i < type->natts; i++)
	{
		Attribute  *att = &type->atts[i];
		bool		isnull = i < stored ? has_nulls && att_isnull(i, row->t_bits) : !att->has_missing;
		Datum		field = i < stored || isnull ? (Datum) 0 : att->missing;

		CHECK_FOR_INTERRUPTS();
		if (i < stored && !isnull)
		{
			check_version(att, row);
			field = take_attribute(att, begin, &data, end);
		}
		if (att->dropped)
			continue;
		if (!first)
			put_char(out, ',');
		first = false;
		if (!isnull)
			put_attribute(out, built, att, field);
	}
	put_char(out, ')');
	if ((Pointer) row != DatumGetPointer(value))
		pfree(row);
}

/* The bounds of an array, where they are not those that a text without them has. */
static void
put_bounds(StringInfo out, const ArrayType *array)
{
	char		text[MAXDIM * 32];
	int			len = 0;
	bool		needed = false;

	for (int i = 0; i < ARR_NDIM(array); i++)
	{
		needed |= ARR_LBOUND(array)[i] != 1;
		len += snprintf(text + len, sizeof(text) - len, "[%d:%d]", ARR_LBOUND(array)[i],
						ARR_LBOUND(array)[i] + ARR_DIMS(array)[i] - 1);
	}
	if (!needed)
		return;
	put_text(out, text, len);
	put_char(out, '=');
}

/* The braces between two elements: of the dimensions that end before element i, and
 * begin with it. */
static void
put_braces(StringInfo out, const ArrayType *array, int i, char brace)
{
	int			size = 1;

	for (int dim = ARR_NDIM(array) - 1; dim >= 0; dim--)
	{
		size *= ARR_DIMS(array)[dim];
		if (i % size == 0)
			put_char(out, brace);
	}
}

/* As array_out(). */
static void
write_array(StringInfo out, CdcBuilt *built, Type *type, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	Type	   *element = find_type(built, type->element);
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const uint8 *bitmap = ARR_NULLBITMAP(array);
	char	   *p = ARR_DATA_PTR(array);

	if (n == 0)
		put_text(out, "{}", 2);
	else
		put_bounds(out, array);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (i > 0)
			put_char(out, element->delimiter);
		put_braces(out, array, i, '{');
		if (bitmap != NULL && att_isnull(i, bitmap))
			put_text(out, "NULL", 4);
		else
		{
			put_part(out, built, element, fetch_att(p, element->byval, element->len),
					 special_in_array, element->delimiter, false);
			p = att_addlength_pointer(p, element->len, p);
			p = (char *) att_align_nominal(p, element->align);
		}
		put_braces(out, array, i + 1, '}');
	}
	if ((Pointer) array != DatumGetPointer(value))
		pfree(array);
}

/* As range_out(). */
static void
write_range(StringInfo out, CdcBuilt *built, Type *type, Datum value)
{
	RangeType  *range = DatumGetRangeTypeP(value);
	Type	   *element = find_type(built, type->element);
	TypeCacheEntry *typcache = lookup_type_cache(type->typid, TYPECACHE_RANGE_INFO);
	RangeBound	lower;
	RangeBound	upper;
	bool		empty;

	range_deserialize(typcache, range, &lower, &upper, &empty);
	if (empty)
	{
		put_text(out, "empty", 5);
		return;
	}
	put_char(out, lower.inclusive ? '[' : '(');
	if (!lower.infinite)
		put_part(out, built, element, lower.val, special_in_range, ',', true);
	put_char(out, ',');
	if (!upper.infinite)
		put_part(out, built, element, upper.val, special_in_range, ',', true);
	put_char(out, upper.inclusive ? ']' : ')');
}

/* As multirange_out(). */
static void
write_multirange(StringInfo out, CdcBuilt *built, Type *type, Datum value)
{
	MultirangeType *multirange = DatumGetMultirangeTypeP(value);
	Type	   *range = find_type(built, type->element);
	TypeCacheEntry *typcache = lookup_type_cache(type->element, TYPECACHE_RANGE_INFO);
	RangeType **ranges;
	int32		n;

	multirange_deserialize(typcache, multirange, &n, &ranges);
	put_char(out, '{');
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (i > 0)
			put_char(out, ',');
		range->write(out, built, range, RangeTypePGetDatum(ranges[i]));
	}
	put_char(out, '}');
}

/* --- what is read of types ----------------------------------------------- */

/* The value of pg_attver among options, 0 where there is none. */
static uint64
read_version(Datum options)
{
	static const char name[] = "pg_attver=";
	Datum	   *elems;
	int			n;
	uint64		version = 0;

	deconstruct_array(DatumGetArrayTypeP(options), TEXTOID, -1, false, TYPALIGN_INT, &elems, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		char	   *option = TextDatumGetCString(elems[i]);

		if (strncmp(option, name, strlen(name)) == 0)
			version = strtou64(option + strlen(name), NULL, 10);
	}
	return version;
}

/* The value that ADD COLUMN gave to older rows, of an array of which it is the one
 * element. */
static Datum
read_missing(Form_pg_attribute form, Datum array)
{
	int			one = 1;
	bool		isnull;
	Datum		value = array_get_element(array, 1, &one, -1, form->attlen, form->attbyval,
										  form->attalign, &isnull);

	return datumCopy(value, form->attbyval, form->attlen);
}

static void
read_attribute(Attribute *att, Relation rel, HeapTuple tup, bool versions)
{
	Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(tup);
	bool		isnull;
	Datum		value;

	att->typid = form->atttypid;
	att->len = form->attlen;
	att->byval = form->attbyval;
	att->align = form->attalign;
	att->dropped = form->attisdropped;
	value = heap_getattr(tup, Anum_pg_attribute_attmissingval, RelationGetDescr(rel), &isnull);
	att->has_missing = form->atthasmissing && !isnull;
	if (att->has_missing)
		att->missing = read_missing(form, value);
	value = heap_getattr(tup, Anum_pg_attribute_attoptions, RelationGetDescr(rel), &isnull);
	if (versions && !isnull)
		att->version = read_version(value);
}

/* Reads past the system cache, which would keep all of it. */
static void
read_attributes(CdcBuilt *built, Type *type, Oid relid)
{
	const char *mismatch = GetConfigOption("composite_type_mismatch", true, false);
	bool		versions = mismatch != NULL && strcmp(mismatch, "error") == 0;
	Relation	rel = table_open(AttributeRelationId, AccessShareLock);
	int			room = 8;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tup;

	type->natts = 0;
	type->atts = palloc(sizeof(Attribute) * room);
	ScanKeyInit(&keys[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_attribute_attnum, BTGreaterStrategyNumber, F_INT2GT,
				Int16GetDatum(0));
	scan = systable_beginscan(rel, AttributeRelidNumIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		if (type->natts == room)
			type->atts = repalloc(type->atts, sizeof(Attribute) * (room *= 2));
		memset(&type->atts[type->natts], 0, sizeof(Attribute));
		read_attribute(&type->atts[type->natts++], rel, tup, versions);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	built->relids = lappend_oid(built->relids, relid);
	built->natts += type->natts;
}

static void
read_type(CdcBuilt *built, Type *type)
{
	HeapTuple	tup = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type->typid));
	Form_pg_type form;
	Oid			relid;
	char		typtype;

	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for type %u", type->typid);
	form = (Form_pg_type) GETSTRUCT(tup);
	type->len = form->typlen;
	type->byval = form->typbyval;
	type->align = form->typalign;
	type->delimiter = form->typdelim;
	typtype = form->typtype;
	relid = form->typrelid;
	fmgr_info_cxt(form->typoutput, &type->output, built->cxt);
	ReleaseSysCache(tup);
	type->write = write_output;
	type->element = array_element(type->typid);
	if (typtype == TYPTYPE_COMPOSITE)
	{
		read_attributes(built, type, relid);
		type->write = write_composite;
	}
	else if (OidIsValid(type->element))
		type->write = write_array;
	else if (typtype == TYPTYPE_RANGE || typtype == TYPTYPE_MULTIRANGE)
	{
		type->element = range_element(type->typid, typtype);
		type->write = typtype == TYPTYPE_RANGE ? write_range : write_multirange;
	}
	if (OidIsValid(type->element))
		type->element = cdc_base_type(type->element);
	type->read = true;
}

static void
begin(CdcBuilt *built)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(Type), .hcxt = built->cxt};

	built->types = hash_create("cdc types", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	built->relids = NIL;
	built->natts = 0;
}

/* What the output function of a type needs, or how its text is built. */
static Type *
find_type(CdcBuilt *built, Oid typid)
{
	bool		found;
	Type	   *type;
	MemoryContext oldcxt;

	check_stack_depth();
	type = hash_search(built->types, &typid, HASH_ENTER, &found);
	if (!found)
		type->read = false;
	if (!type->read)
	{
		oldcxt = MemoryContextSwitchTo(built->cxt);
		read_type(built, type);
		MemoryContextSwitchTo(oldcxt);
	}
	return type;
}

CdcBuilt *
cdc_built_create(Oid typid)
{
	CdcBuilt   *built = palloc(sizeof(CdcBuilt));

	built->typid = typid;
	built->cxt = AllocSetContextCreate(CurrentMemoryContext, "cdc types", ALLOCSET_SMALL_SIZES);
	begin(built);
	return built;
}

void
cdc_built_text(StringInfo out, CdcBuilt *built, Datum value)
{
	Type	   *type;

	if (built->natts > MAX_ATTRIBUTES)
	{
		MemoryContextReset(built->cxt);
		begin(built);
	}
	type = find_type(built, built->typid);
	type->write(out, built, type, value);
}

bool
cdc_built_uses(const CdcBuilt *built, Oid relid)
{
	return relid == InvalidOid ? built->relids != NIL : list_member_oid(built->relids, relid);
}
