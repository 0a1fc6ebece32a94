/*
 * asowner.c
 *	  Takes the identity of a table's owner, and gives it back.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "utils/guc.h"

#include "catalog/asowner.h"
#include "compat.h"
#include "util/settings.h"

CdcCaller
cdc_as_owner_begin(Relation rel)
{
	CdcCaller	caller;

	GetUserIdAndSecContext(&caller.user, &caller.context);
	SetUserIdAndSecContext(rel->rd_rel->relowner,
						   caller.context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	caller.nestlevel = NewGUCNestLevel();
	cdc_fix_settings();
	/* an ERROR where a policy would hide rows */
	(void) set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return caller;
}

void
cdc_as_owner_end(CdcCaller caller)
{
	AtEOXact_GUC(false, caller.nestlevel);
	SetUserIdAndSecContext(caller.user, caller.context);
}

/* Has the rights to all tables of a query asked for a superuser. */
static bool
ask_superuser(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, ask_superuser, context);
	cdc_query_check_as((Query *) node, BOOTSTRAP_SUPERUSERID);
	return query_tree_walker((Query *) node, ask_superuser, context, 0);
}

static post_parse_analyze_hook_type others_hook;

/* Comes before row security policies are added. */
static void
prepare_query(ParseState *pstate, Query *query, CDC_JUMBLE_STATE *jstate)
{
	(void) ask_superuser((Node *) query, NULL);
	if (others_hook != NULL)
		others_hook(pstate, query, jstate);
}

Portal
cdc_as_owner_cursor(const char *name, const char *sql, int nparams, Oid *types, Datum *values)
{
	post_parse_analyze_hook_type before = post_parse_analyze_hook;
	SPIPlanPtr	plan;

	/* planning, which may run functions, is not done here */
	others_hook = before;
	post_parse_analyze_hook = prepare_query;
	PG_TRY();
	{
		plan = SPI_prepare(sql, nparams, types);
	}
	PG_FINALLY();
	{
		post_parse_analyze_hook = before;
	}
	PG_END_TRY();
	if (plan == NULL)
		elog(ERROR, "could not prepare a query: %s", SPI_result_code_string(SPI_result));
	return SPI_cursor_open(name, plan, values, NULL, true);
}
