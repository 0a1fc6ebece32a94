/*
 * versionmap.c
 *	  Compares a schema with an older one in which rows are to be sent.
 */
#include "postgres.h"

#include "schema/descriptor.h"
#include "schema/versionmap.h"

/* Are values of the one written like those of the other, with the same meaning? */
static bool
same_values(const Cdc__V1__Column *older, const Cdc__V1__Column *now)
{
	if (cdc_type_widens(older->type, now->type))
		return true;
	if (older->type != now->type || older->element != now->element)
		return false;
	return older->type != CDC__V1__TYPE__TYPE_OTHER || strcmp(older->pg_type, now->pg_type) == 0;
}

/* Each tells one obstacle of a column of the older schema, or NULL; `now` is NULL where
 * there is no such column. */
static char *
is_missing(const Cdc__V1__Column *older, const Cdc__V1__Column *now)
{
	if (now != NULL || !(older->not_null || older->key))
		return NULL;
	return psprintf("column %s, which cannot be NULL, is not there", older->name);
}

static char *
has_other_type(const Cdc__V1__Column *older, const Cdc__V1__Column *now)
{
	if (now == NULL || same_values(older, now))
		return NULL;
	return psprintf("column %s is %s instead of %s", older->name, now->pg_type, older->pg_type);
}

static char *
may_be_null(const Cdc__V1__Column *older, const Cdc__V1__Column *now)
{
	if (now == NULL || now->not_null || !older->not_null)
		return NULL;
	return psprintf("column %s can be NULL", older->name);
}

static char *
changes_key(const Cdc__V1__Column *older, const Cdc__V1__Column *now)
{
	if (now == NULL || now->key == older->key)
		return NULL;
	return psprintf(now->key ? "column %s is part of the key" : "column %s is not part of the key",
					older->name);
}

static char *(*const obstacles[]) (const Cdc__V1__Column *, const Cdc__V1__Column *) =
{
	is_missing, has_other_type, may_be_null, changes_key
};

char *
cdc_version_unmappable(const Cdc__V1__Table *older, const Cdc__V1__Table *now)
{
	for (size_t i = 0; i < older->n_columns; i++)
	{
		const Cdc__V1__Column *column = older->columns[i];

		for (int k = 0; k < lengthof(obstacles); k++)
		{
			char	   *reason = obstacles[k] (column, cdc_column_find(now, column->number));

			if (reason != NULL)
				return reason;
		}
	}
	for (size_t i = 0; i < now->n_columns; i++)
		if (now->columns[i]->key && cdc_column_find(older, now->columns[i]->number) == NULL)
			return psprintf("column %s, which is not in that version, is part of the key", now->columns[i]->name);
	return NULL;
}
