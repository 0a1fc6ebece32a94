/*
 * jsonarray.c
 *	  Reads *Array messages and renders them.
 */
#include "postgres.h"

#include <ctype.h>

#include "utils/array.h"

#include "json/jsonarray.h"
#include "values/encode.h"

/* An array as it was read: all but the elements, of which there may be very
 * many. */
typedef struct ParsedArray
{
	Cdc__V1__Type element;
	const CdcField *field;
	int64		nvalues;
	uint8	   *nulls;			/* a bit for each element; NULL: none is NULL */
	int			ndim;
	int			dims[MAXDIM];
	int			nbounds;
	int			bounds[MAXDIM];
} ParsedArray;

/* Walks the elements, which may be in several fields. */
typedef struct ElementCursor
{
	CdcWireType wire;
	CdcCursor	fields;			/* of the message */
	CdcCursor	packed;			/* within a packed field */
} ElementCursor;

/* How the elements of a type are encoded; others are text. */
static const struct
{
	Cdc__V1__Type type;
	CdcWireType wire;
}			packed[] =
{
	{CDC__V1__TYPE__TYPE_BOOL, CDC_WIRE_VARINT},
	{CDC__V1__TYPE__TYPE_INT32, CDC_WIRE_VARINT},
	{CDC__V1__TYPE__TYPE_INT64, CDC_WIRE_VARINT},
	{CDC__V1__TYPE__TYPE_UINT32, CDC_WIRE_VARINT},
	{CDC__V1__TYPE__TYPE_FLOAT, CDC_WIRE_FIXED32},
	{CDC__V1__TYPE__TYPE_DOUBLE, CDC_WIRE_FIXED64},
};

static CdcWireType
element_wire(Cdc__V1__Type type)
{
	for (int i = 0; i < lengthof(packed); i++)
		if (packed[i].type == type)
			return packed[i].wire;
	return CDC_WIRE_LEN;
}

static ElementCursor
first_element(Cdc__V1__Type element, const CdcField *field)
{
	return (ElementCursor) {
		.wire = element_wire(element),
		.fields = cdc_cursor(field->data, field->len),
		.packed = cdc_cursor(NULL, 0),
	};
}

/* The next element; false at the end. Field 1 has one of them, or with the
 * packed encoding many. */
static bool
next_element(ElementCursor *cursor, CdcField *value)
{
	for (;;)
	{
		if (cursor->packed.p != cursor->packed.end)
		{
			value->type = cursor->wire;
			if (!cdc_read_value(&cursor->packed, value))
				cdc_json_damaged(cursor->packed.error);
			return true;
		}
		if (!cdc_read_field(&cursor->fields, value))
		{
			if (cursor->fields.error != NULL)
				cdc_json_damaged(cursor->fields.error);
			return false;
		}
		if (value->number != CDC_ARRAY_VALUES)
			continue;
		if (value->type == cursor->wire)
			return true;
		if (value->type != CDC_WIRE_LEN)
			cdc_json_damaged("elements of an array have the wrong wire type");
		cursor->packed = cdc_cursor(value->data, value->len);
	}
}

/* At most MAXDIM varints, packed or one of them. */
static int
read_dimensions(const CdcField *field, uint64 *result, int n)
{
	CdcCursor	cursor = cdc_cursor(field->data, field->len);

	if (field->type == CDC_WIRE_VARINT)
	{
		if (n == MAXDIM)
			cdc_json_damaged("array has too many dimensions");
		result[n] = field->value;
		return n + 1;
	}
	if (field->type != CDC_WIRE_LEN)
		cdc_json_damaged("array has a field of the wrong wire type");
	while (cursor.p < cursor.end)
	{
		if (n == MAXDIM)
			cdc_json_damaged("array has too many dimensions");
		if (!cdc_read_varint(&cursor, &result[n++]))
			cdc_json_damaged(cursor.error);
	}
	return n;
}

static void
add_null(ParsedArray *a, uint64 position)
{
	if (position >= a->nvalues)
		cdc_json_damaged("array has a NULL beyond its end");
	if (a->nulls == NULL)
		a->nulls = palloc0(a->nvalues / 8 + 1);
	a->nulls[position / 8] |= 1 << (position % 8);
}

/* The positions of NULLs, packed or one of them. */
static void
read_nulls(ParsedArray *a, const CdcField *field)
{
	CdcCursor	cursor = cdc_cursor(field->data, field->len);
	uint64		position;

	if (field->type == CDC_WIRE_VARINT)
	{
		add_null(a, field->value);
		return;
	}
	if (field->type != CDC_WIRE_LEN)
		cdc_json_damaged("array has a field of the wrong wire type");
	while (cursor.p < cursor.end)
	{
		if (!cdc_read_varint(&cursor, &position))
			cdc_json_damaged(cursor.error);
		add_null(a, position);
	}
}

/* Dimensions whose product is the number of elements. */
static void
check_dimensions(ParsedArray *a, const uint64 *dims, const uint64 *bounds)
{
	uint64		product = 1;

	if (a->ndim == 0 && a->nbounds == 0)
	{
		a->ndim = a->nvalues > 0 ? 1 : 0;
		a->dims[0] = (int) a->nvalues;
		a->bounds[0] = 1;
		return;
	}
	if (a->ndim != a->nbounds)
		cdc_json_damaged("array has other numbers of dimensions and lower bounds");
	for (int i = 0; i < a->ndim; i++)
	{
		if (dims[i] == 0 || dims[i] > a->nvalues || bounds[i] > PG_UINT32_MAX)
			cdc_json_damaged("array has a dimension out of range");
		product *= dims[i];
		if (product > a->nvalues)
			break;
		a->dims[i] = (int) dims[i];
		a->bounds[i] = (int) cdc_unzigzag(bounds[i]);
	}
	if (product != a->nvalues)
		cdc_json_damaged("dimensions of an array do not give the number of its elements");
}

static void
parse(ParsedArray *a, Cdc__V1__Type element, const CdcField *field)
{
	ElementCursor elements = first_element(element, field);
	CdcCursor	cursor = cdc_cursor(field->data, field->len);
	CdcField	part;
	uint64		dims[MAXDIM];
	uint64		bounds[MAXDIM];

	memset(a, 0, sizeof(*a));
	a->element = element;
	a->field = field;
	while (next_element(&elements, &part))
		a->nvalues++;
	while (cdc_read_field(&cursor, &part))
	{
		if (part.number == CDC_ARRAY_NULLS)
			read_nulls(a, &part);
		else if (part.number == CDC_ARRAY_DIMENSIONS)
			a->ndim = read_dimensions(&part, dims, a->ndim);
		else if (part.number == CDC_ARRAY_LOWER_BOUNDS)
			a->nbounds = read_dimensions(&part, bounds, a->nbounds);
	}
	if (cursor.error != NULL)
		cdc_json_damaged(cursor.error);
	check_dimensions(a, dims, bounds);
}

/* What array_out() would quote. */
static bool
needs_quotes(const char *text, int len)
{
	if (len == 0 || (len == 4 && pg_strncasecmp(text, "NULL", 4) == 0))
		return true;
	for (int i = 0; i < len; i++)
		if ((text[i] != '\0' && strchr("\"\\{},", text[i]) != NULL) || (!IS_HIGHBIT_SET(text[i]) && isspace((unsigned char) text[i])))
			return true;
	return false;
}

/* An element in an array literal: its JSON form without JSON's quoting. `text` is
 * what it is made in. */
static void
append_literal_element(StringInfo out, Cdc__V1__Type element, const CdcField *value,
					   StringInfo text)
{
	bool		quotes;

	resetStringInfo(text);
	if (element == CDC__V1__TYPE__TYPE_BOOL)
		appendStringInfoChar(text, value->value != 0 ? 't' : 'f');
	else if (element_wire(element) == CDC_WIRE_LEN && element != CDC__V1__TYPE__TYPE_BYTES &&
			 element != CDC__V1__TYPE__TYPE_UUID)
	{
		if (value->len > 0 && memchr(value->data, '\0', value->len) != NULL)
			cdc_json_damaged("text has a zero byte");
		appendBinaryStringInfo(text, value->data, (int) value->len);
	}
	else
	{
		cdc_json_element(text, element, value);
		/* numbers that JSON does not have, bytes, uuid: take off the quotes */
		if (text->data[0] == '"')
		{
			bool		bytes = text->data[1] == '\\';

			text->data[text->len - 1] = '\0';
			text->len -= bytes ? 3 : 2;
			memmove(text->data, text->data + (bytes ? 2 : 1), text->len + 1);
		}
	}
	quotes = needs_quotes(text->data, text->len);
	if (quotes)
		appendStringInfoChar(out, '"');
	for (int i = 0; i < text->len; i++)
	{
		if (text->data[i] == '"' || text->data[i] == '\\')
			appendStringInfoChar(out, '\\');
		appendStringInfoChar(out, text->data[i]);
	}
	if (quotes)
		appendStringInfoChar(out, '"');
}

static bool
is_null_element(const ParsedArray *a, int64 at)
{
	return a->nulls != NULL && (a->nulls[at / 8] >> (at % 8) & 1) != 0;
}

/* One dimension, and those below it. `elements` stands before its first element,
 * whose number *at is. `literal` is for the elements of an array literal; NULL: it
 * is JSON. */
static void
append_dimension(StringInfo out, const ParsedArray *a, int dim, ElementCursor *elements,
				 int64 *at, StringInfo literal)
{
	appendStringInfoChar(out, literal ? '{' : '[');
	for (int i = 0; i < a->dims[dim]; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		if (dim + 1 < a->ndim)
			append_dimension(out, a, dim + 1, elements, at, literal);
		else
		{
			CdcField	value;

			(void) next_element(elements, &value);
			if (is_null_element(a, *at))
				appendStringInfoString(out, literal ? "NULL" : "null");
			else if (literal)
				append_literal_element(out, a->element, &value, literal);
			else
				cdc_json_element(out, a->element, &value);
			(*at)++;
		}
	}
	appendStringInfoChar(out, literal ? '}' : ']');
}

/* Whether an element is a value of JSON that looks as NULL does. */
static bool
has_json_null(const ParsedArray *a)
{
	ElementCursor elements = first_element(a->element, a->field);
	CdcField	value;

	if (a->element != CDC__V1__TYPE__TYPE_JSON)
		return false;
	for (int64 at = 0; next_element(&elements, &value); at++)
	{
		const char *text = value.data;
		const char *end = text + value.len;

		while (text < end && strchr(" \t\n\r", *text) != NULL)
			text++;
		while (text < end && strchr(" \t\n\r", end[-1]) != NULL)
			end--;
		if (end - text == 4 && memcmp(text, "null", 4) == 0 && !is_null_element(a, at))
			return true;
	}
	return false;
}

static void
render_array(StringInfo out, Cdc__V1__Type element, const CdcField *field)
{
	ParsedArray a;
	ElementCursor elements = first_element(element, field);
	int64		at = 0;
	bool		bounds = false;
	StringInfoData text;
	StringInfoData scratch;

	parse(&a, element, field);
	if (a.ndim == 0)
	{
		appendStringInfoString(out, "[]");
		return;
	}
	for (int i = 0; i < a.ndim; i++)
		bounds |= a.bounds[i] != 1;
	if (!bounds && !has_json_null(&a))
	{
		append_dimension(out, &a, 0, &elements, &at, NULL);
		return;
	}
	initStringInfo(&text);
	initStringInfo(&scratch);
	for (int i = 0; bounds && i < a.ndim; i++)
		appendStringInfo(&text, "[%d:" INT64_FORMAT "]", a.bounds[i],
						 (int64) a.bounds[i] + a.dims[i] - 1);
	if (bounds)
		appendStringInfoChar(&text, '=');
	append_dimension(&text, &a, 0, &elements, &at, &scratch);
	cdc_json_string(out, text.data, text.len);
	pfree(scratch.data);
	pfree(text.data);
}

void
cdc_json_value(StringInfo out, const Cdc__V1__Column *column, const CdcField *field)
{
	if (column->type != CDC__V1__TYPE__TYPE_ARRAY)
		cdc_json_scalar(out, column->type, field);
	else if (field->type != CDC_WIRE_LEN)
		cdc_json_damaged("field of a row does not have its column's wire type");
	else
		render_array(out, column->element, field);
}
