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
#include "utils/syscache.h"

#include "catalog/exttable.h"
#include "compat.h"
#include "util/settings.h"

PG_FUNCTION_INFO_V1(cdc_grant_read);
PG_FUNCTION_INFO_V1(cdc_revoke_read);

/* The arguments of both, and what is decided from them. */
enum
{
	RELATION,
	ROLE,
	COLUMNS,
	PREFIX,
	REASON,
	NARGUMENTS,
	GIVER = NARGUMENTS,			/* NULL: the owner */
	NPARAMETERS
};

/* A row of the audit about a grant "g". */
#define AUDIT(action, reason) \
	"cdc.put_row(jsonb_populate_record(NULL::cdc.redaction_audit, jsonb_build_object(" \
	"'id', gen_random_uuid(), 'at', clock_timestamp(), 'by', session_user, 'about', 'read_grant'," \
	" 'action', '" action "', 'rule', jsonb_build_object('role', (g).role_name," \
	"  'relation', CASE WHEN (g).table_name IS NOT NULL THEN format('%I.%I', (g).schema_name, (g).table_name) END," \
	"  'column_name', (g).column_name, 'prefix', (g).prefix, 'giver', (g).giver_name, 'reason', " reason "))))"

/* The rows that cdc.revoke_read() names; without columns all of a relation. */
#define MATCHES \
	"g.role = $2 AND g.relation IS NOT DISTINCT FROM $1 AND g.prefix IS NOT DISTINCT FROM $4" \
	" AND ($3 IS NULL OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = g.relation" \
	"  AND a.attnum = g.attnum AND a.attname = ANY ($3)))"

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

/* Whether the caller acts for the owner of a relation. ERROR where it is none. */
static bool
acts_for_owner(Oid relid, bool *secured)
{
	Relation	rel = try_table_open(relid, AccessShareLock);
	bool		acts;

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", RelationGetRelationName(rel))));
	acts = has_privs_of_role(GetUserId(), rel->rd_rel->relowner);
	*secured = rel->rd_rel->relrowsecurity;
	table_close(rel, NoLock);
	return acts;
}

/*
 * Who gives what the arguments name: InvalidOid for the owner, for whom whoever has his
 * privileges acts, or the caller. Where row security could hide rows from the latter, it
 * is the owner alone.
 */
static Oid
find_giver(FunctionCallInfo fcinfo, Oid extension_owner)
{
	Oid			user = GetUserId();
	Oid			relid;
	bool		secured;

	if (PG_ARGISNULL(RELATION))
	{
		if (has_privs_of_role(user, extension_owner))
			return InvalidOid;
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not decide who is sent logical messages",
						GetUserNameFromId(user, false)),
				 errdetail("The owner of the extension may: \"%s\".", GetUserNameFromId(extension_owner, false))));
	}
	relid = PG_GETARG_OID(RELATION);
	if (acts_for_owner(relid, &secured))
		return InvalidOid;
	if (!secured && may_give(relid, PG_ARGISNULL(COLUMNS) ? NULL : PG_GETARG_ARRAYTYPE_P(COLUMNS)))
		return user;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("role \"%s\" may not decide who is sent table \"%s\"",
					GetUserNameFromId(user, false), get_rel_name(relid)),
			 secured ? errdetail("The table has row security: only its owner may.") :
			 errdetail("Its owner may, and who has SELECT on it with grant option.")));
}

/* Whose grants the caller may take back: InvalidOid for everybody's, or his own. */
static Oid
find_revoker(FunctionCallInfo fcinfo, Oid extension_owner)
{
	Oid			user = GetUserId();
	HeapTuple	tup;
	Oid			owner = extension_owner;

	if (!PG_ARGISNULL(RELATION))
	{
		/* of one that was dropped, it is an administrator's */
		tup = SearchSysCache1(RELOID, ObjectIdGetDatum(PG_GETARG_OID(RELATION)));
		if (HeapTupleIsValid(tup))
		{
			owner = ((Form_pg_class) GETSTRUCT(tup))->relowner;
			ReleaseSysCache(tup);
		}
	}
	return has_privs_of_role(user, owner) ? InvalidOid : user;
}

/* Runs a statement with the arguments as $1 to $5 and a giver as $6, as the tables' owner.
 * Returns how many rows it has given. */
static uint64
run(FunctionCallInfo fcinfo, Oid giver, Oid owner, const char *sql)
{
	static Oid	types[NPARAMETERS] = {OIDOID, OIDOID, NAMEARRAYOID, TEXTOID, TEXTOID, OIDOID};
	Datum		values[NPARAMETERS];
	char		nulls[NPARAMETERS];
	Oid			user;
	int			context;
	int			nestlevel;
	uint64		rows;

	for (int i = 0; i < NARGUMENTS; i++)
	{
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
		values[i] = PG_ARGISNULL(i) ? (Datum) 0 : PG_GETARG_DATUM(i);
	}
	nulls[GIVER] = OidIsValid(giver) ? ' ' : 'n';
	values[GIVER] = ObjectIdGetDatum(giver);
	/* no operator of the caller's may run with the owner's rights */
	nestlevel = NewGUCNestLevel();
	cdc_fix_settings();
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	if (SPI_execute_with_args(sql, NPARAMETERS, types, values, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "unexpected result of: %s", sql);
	rows = SPI_processed;
	SPI_finish();
	SetUserIdAndSecContext(user, context);
	AtEOXact_GUC(false, nestlevel);
	return rows;
}

#define PREPARE "SELECT cdc.bind_grants(), cdc.prune_grants()"

Datum
cdc_grant_read(PG_FUNCTION_ARGS)
{
	Oid			owner = table_owner();
	Oid			giver;

	cdc_exttable_require_primary("cdc.grant_read()");
	require_target(fcinfo);
	giver = find_giver(fcinfo, owner);
	if (!PG_ARGISNULL(COLUMNS))
		require_columns(PG_GETARG_OID(RELATION), PG_GETARG_ARRAYTYPE_P(COLUMNS));
	(void) run(fcinfo, giver, owner, PREPARE);
	/* what is there stays */
	(void) run(fcinfo, giver, owner,
			   "WITH given AS MATERIALIZED (SELECT ROW(nextval('cdc.read_grant_id_seq'), pg_get_userbyid($2), n.nspname,"
			   "  t.relname, a.attname, $4, CASE WHEN $6 IS NOT NULL THEN pg_get_userbyid($6) END, $2, $1, a.attnum, $6,"
			   "  pg_current_wal_insert_lsn(), $5, now(), session_user)::cdc.read_grant AS g"
			   " FROM unnest(coalesce($3, ARRAY[NULL]::name[])) c(name)"
			   "  LEFT JOIN pg_class t ON t.oid = $1 LEFT JOIN pg_namespace n ON n.oid = t.relnamespace"
			   "  LEFT JOIN pg_attribute a ON a.attrelid = $1 AND a.attname = c.name"
			   " WHERE NOT EXISTS (SELECT FROM cdc.read_grant g"
			   "  WHERE g.role = $2 AND g.relation IS NOT DISTINCT FROM $1 AND g.attnum IS NOT DISTINCT FROM a.attnum"
			   "  AND g.prefix IS NOT DISTINCT FROM $4 AND g.giver IS NOT DISTINCT FROM $6"
			   "  AND NOT EXISTS (SELECT FROM cdc.read_grant_dropped d WHERE d.id = g.id)))"
			   " SELECT cdc.put_row(g), " AUDIT("INSERT", "$5") " FROM given");
	PG_RETURN_VOID();
}

/* ERROR: why there was nothing to take back. */
static void
report_nothing(FunctionCallInfo fcinfo, Oid giver, Oid owner)
{
	if (OidIsValid(giver) &&
		(PG_ARGISNULL(RELATION) || !OidIsValid(find_giver(fcinfo, owner)) ||
		 run(fcinfo, giver, owner, "SELECT FROM cdc.read_grant g WHERE " MATCHES) > 0))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" gave nothing of this to role \"%s\"",
						GetUserNameFromId(giver, false), GetUserNameFromId(PG_GETARG_OID(ROLE), false)),
				 errdetail("Grants are taken back by who gave them, and by who acts for the owner.")));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("nothing of this was granted to role \"%s\"",
					GetUserNameFromId(PG_GETARG_OID(ROLE), false)),
			 PG_ARGISNULL(COLUMNS) ? 0 :
			 errdetail("Columns are only revoked where they were granted by name."),
			 errhint("The view cdc.read_grants has what was granted.")));
}

Datum
cdc_revoke_read(PG_FUNCTION_ARGS)
{
	Oid			owner = table_owner();
	Oid			giver;

	cdc_exttable_require_primary("cdc.revoke_read()");
	require_target(fcinfo);
	giver = find_revoker(fcinfo, owner);
	(void) run(fcinfo, giver, owner, PREPARE);
	/* the audit has the reason of the removal */
	if (run(fcinfo, giver, owner,
			"WITH taken AS MATERIALIZED (SELECT g FROM cdc.read_grant g"
			" WHERE " MATCHES " AND ($6 IS NULL OR g.giver = $6))"
			" SELECT cdc.drop_row(g), " AUDIT("DELETE", "nullif(concat_ws('; revoked: ', (g).reason, $5), '')") " FROM taken") == 0)
		report_nothing(fcinfo, giver, owner);
	PG_RETURN_VOID();
}
