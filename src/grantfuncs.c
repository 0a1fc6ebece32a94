/*
 * grantfuncs.c
 *	  cdc.grant_read() and cdc.revoke_read(): what a role may be sent, which it need
 *	  not be able to SELECT.
 *
 * Who may give is asked of the caller's privileges; the table is written with its
 * owner's.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "exttable.h"
#include "settings.h"

PG_FUNCTION_INFO_V1(cdc_grant_read);
PG_FUNCTION_INFO_V1(cdc_revoke_read);

/* The arguments of both. */
enum
{
	RELATION,
	ROLE,
	COLUMNS,
	PREFIX,
	REASON,
	NARGUMENTS
};

/* The rows that the arguments of cdc.revoke_read() name; without columns all of a
 * relation. */
#define MATCHES \
	" AND relation IS NOT DISTINCT FROM $1 AND prefix IS NOT DISTINCT FROM $4" \
	" AND ($3 IS NULL OR column_name = ANY ($3))"

static void
require_target(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(ROLE) || PG_ARGISNULL(RELATION) == PG_ARGISNULL(PREFIX) ||
		(!PG_ARGISNULL(COLUMNS) && PG_ARGISNULL(RELATION)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("role and either relation or prefix must be given"),
				 errhint("For example: cdc.grant_read('orders', 'billing', columns => '{id,total}'), or cdc.grant_read(prefix => 'audit', role => 'billing').")));
	/* of a role that does not exist it raises */
	(void) GetUserNameFromId(PG_GETARG_OID(ROLE), false);
}

/* Of the extension's tables, who owns them. */
static Oid
table_owner(void)
{
	Relation	rel = cdc_exttable_open("read_grant", AccessShareLock);
	Oid			owner;

	if (rel == NULL)
		elog(ERROR, "table cdc.read_grant does not exist");
	owner = rel->rd_rel->relowner;
	table_close(rel, NoLock);
	return owner;
}

/* Whether the caller may SELECT, and pass that on; columns that do not exist do not
 * count. */
static bool
may_give(Oid relid, ArrayType *columns)
{
	AclMode		wanted = ACL_GRANT_OPTION_FOR(ACL_SELECT);
	Datum	   *names;
	bool	   *nulls;
	int			n;

	if (pg_class_aclcheck(relid, GetUserId(), wanted) == ACLCHECK_OK)
		return true;
	if (columns == NULL)
		return false;
	deconstruct_array(columns, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		AttrNumber	attnum = nulls[i] ? InvalidAttrNumber : get_attnum(relid, NameStr(*DatumGetName(names[i])));

		if (attnum <= 0 || pg_attribute_aclcheck(relid, attnum, GetUserId(), wanted) != ACLCHECK_OK)
			return false;
	}
	return n > 0;
}

/* ERROR unless there are all of these columns. */
static void
require_columns(Oid relid, ArrayType *columns)
{
	Datum	   *names;
	bool	   *nulls;
	int			n;

	deconstruct_array(columns, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names, &nulls, &n);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("columns must not be empty"),
				 errhint("Leave it out for all columns, later ones too.")));
	for (int i = 0; i < n; i++)
	{
		const char *name = nulls[i] ? "NULL" : NameStr(*DatumGetName(names[i]));

		if (nulls[i] || get_attnum(relid, name) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table \"%s\" does not exist", name, get_rel_name(relid))));
	}
}

/* A relation's owner, or who may SELECT and pass that on, decides on it; where row
 * security could hide rows from the latter, its owner alone. */
static void
require_right_on_relation(Oid relid, ArrayType *columns)
{
	Relation	rel = try_table_open(relid, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", RelationGetRelationName(rel))));
	if (!has_privs_of_role(GetUserId(), rel->rd_rel->relowner) &&
		(rel->rd_rel->relrowsecurity || !may_give(relid, columns)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not decide who is sent table \"%s\"",
						GetUserNameFromId(GetUserId(), false), RelationGetRelationName(rel)),
				 rel->rd_rel->relrowsecurity ?
				 errdetail("The table has row security: only its owner may.") :
				 errdetail("Its owner may, and who has SELECT on it with grant option.")));
	table_close(rel, NoLock);
}

/* ERROR unless the caller may decide on what the arguments name. */
static void
require_right(FunctionCallInfo fcinfo, Oid owner)
{
	if (!PG_ARGISNULL(RELATION))
		require_right_on_relation(PG_GETARG_OID(RELATION),
								  PG_ARGISNULL(COLUMNS) ? NULL : PG_GETARG_ARRAYTYPE_P(COLUMNS));
	else if (!has_privs_of_role(GetUserId(), owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not decide who is sent logical messages",
						GetUserNameFromId(GetUserId(), false)),
				 errdetail("The owner of the extension may: \"%s\".", GetUserNameFromId(owner, false))));
}

/* Runs a statement with the arguments as $1 to $5, as the tables' owner. Returns how
 * many rows it has changed. */
static uint64
run(FunctionCallInfo fcinfo, Oid owner, const char *sql, int expected)
{
	static Oid	types[NARGUMENTS] = {REGCLASSOID, REGROLEOID, NAMEARRAYOID, TEXTOID, TEXTOID};
	Datum		values[NARGUMENTS];
	char		nulls[NARGUMENTS];
	Oid			user;
	int			context;
	int			nestlevel;
	uint64		changed;

	for (int i = 0; i < NARGUMENTS; i++)
	{
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
		values[i] = PG_ARGISNULL(i) ? (Datum) 0 : PG_GETARG_DATUM(i);
	}
	/* no operator of the caller's may run with the owner's rights */
	nestlevel = NewGUCNestLevel();
	cdc_fix_settings();
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	if (SPI_execute_with_args(sql, NARGUMENTS, types, values, nulls, false, 0) != expected)
		elog(ERROR, "unexpected result of: %s", sql);
	changed = SPI_processed;
	SPI_finish();
	SetUserIdAndSecContext(user, context);
	AtEOXact_GUC(false, nestlevel);
	return changed;
}

Datum
cdc_grant_read(PG_FUNCTION_ARGS)
{
	Oid			owner = table_owner();

	require_target(fcinfo);
	require_right(fcinfo, owner);
	if (!PG_ARGISNULL(COLUMNS))
		require_columns(PG_GETARG_OID(RELATION), PG_GETARG_ARRAYTYPE_P(COLUMNS));
	/* what is there stays */
	(void) run(fcinfo, owner,
			   "INSERT INTO cdc.read_grant (role, relation, column_name, prefix, reason)"
			   " SELECT $2, $1, c.name, $4, $5"
			   " FROM unnest(coalesce($3, ARRAY[NULL]::name[])) c(name)"
			   " WHERE NOT EXISTS (SELECT FROM cdc.read_grant g"
			   "  WHERE g.role = $2 AND g.relation IS NOT DISTINCT FROM $1"
			   "  AND g.column_name IS NOT DISTINCT FROM c.name AND g.prefix IS NOT DISTINCT FROM $4)",
			   SPI_OK_INSERT);
	PG_RETURN_VOID();
}

Datum
cdc_revoke_read(PG_FUNCTION_ARGS)
{
	Oid			owner = table_owner();

	require_target(fcinfo);
	require_right(fcinfo, owner);
	/* the audit has the reason of the removal */
	(void) run(fcinfo, owner,
			   "UPDATE cdc.read_grant SET reason = concat_ws('; revoked: ', reason, $5)"
			   " WHERE $5 IS NOT NULL AND role = $2" MATCHES,
			   SPI_OK_UPDATE);
	if (run(fcinfo, owner,
			"DELETE FROM cdc.read_grant WHERE role = $2" MATCHES,
			SPI_OK_DELETE) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("nothing of this was granted to role \"%s\"",
						GetUserNameFromId(PG_GETARG_OID(ROLE), false)),
				 PG_ARGISNULL(COLUMNS) ? 0 :
				 errdetail("Columns are only revoked where they were granted by name."),
				 errhint("The table cdc.read_grant has what was granted.")));
	PG_RETURN_VOID();
}
