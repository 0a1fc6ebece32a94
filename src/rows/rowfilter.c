/*
 * rowfilter.c
 *	  Prepares and evaluates row filters.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "executor/tuptable.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "rows/rowfilter.h"
#include "util/guard.h"

/* The filter of one operation. */
typedef struct Condition
{
	List	   *texts;			/* serialized expressions; NIL: no filter */
	ExprState  *state;			/* all of them, when they are prepared */
	bool		may_raise;
	MemoryContext cxt;			/* of state */
} Condition;

struct CdcRowFilter
{
	MemoryContext cxt;
	TupleDesc	tupdesc;
	TupleTableSlot *slot;
	ExprContext *econtext;
	Condition	conditions[CDC__V1__OP__OP_DELETE + 1];
};

CdcRowFilter *
cdc_rowfilter_create(TupleDesc tupdesc)
{
	CdcRowFilter *filter = palloc0(sizeof(CdcRowFilter));

	filter->cxt = CurrentMemoryContext;
	filter->tupdesc = CreateTupleDescCopy(tupdesc);
	filter->slot = MakeSingleTupleTableSlot(filter->tupdesc, &TTSOpsVirtual);
	filter->econtext = CreateStandaloneExprContext();
	return filter;
}

void
cdc_rowfilter_add(CdcRowFilter *filter, Cdc__V1__Op op, const char *text)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(filter->cxt);
	Condition  *condition = &filter->conditions[op];

	condition->texts = lappend(condition->texts, pstrdup(text));
	MemoryContextSwitchTo(oldcxt);
}

static bool
is_collatable(Node *node, void *context)
{
	return node != NULL && type_is_collatable(exprType(node));
}

/* Operators that compare text without knowing by which collation raise. */
static bool
lacks_collation(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (!IsA(node, List) && !IsA(node, NullTest) && !IsA(node, RelabelType) &&
		!OidIsValid(exprInputCollation(node)) &&
		expression_tree_walker(node, is_collatable, NULL))
		return true;
	return expression_tree_walker(node, lacks_collation, context);
}

/* What fails here, fails again for the next row: it must not leave anything
 * behind. */
static void
prepare(CdcRowFilter *filter, Condition *condition)
{
	MemoryContext oldcxt;
	List	   *exprs = NIL;
	Expr	   *expr;
	ListCell   *lc;

	foreach(lc, condition->texts)
		exprs = lappend(exprs, stringToNode(lfirst(lc)));
	expr = expression_planner(list_length(exprs) == 1 ? linitial(exprs) :
							  make_orclause(exprs));
	if (condition->cxt == NULL)
		condition->cxt = AllocSetContextCreate(filter->cxt, "cdc row filter",
											   ALLOCSET_SMALL_SIZES);
	MemoryContextReset(condition->cxt);
	oldcxt = MemoryContextSwitchTo(condition->cxt);
	expr = copyObject(expr);
	/* Functions that are leakproof raise no errors. */
	condition->may_raise = contain_leaked_vars((Node *) expr) ||
		lacks_collation((Node *) expr, NULL);
	condition->state = ExecInitExpr(expr, NULL);
	MemoryContextSwitchTo(oldcxt);
}

static bool
matches(CdcRowFilter *filter, Condition *condition, const CdcRow *row)
{
	TupleTableSlot *slot = filter->slot;
	int			natts = filter->tupdesc->natts;
	Datum		result;
	bool		isnull;

	if (row == NULL)
		return false;
	ExecClearTuple(slot);
	memcpy(slot->tts_values, row->values, natts * sizeof(Datum));
	memcpy(slot->tts_isnull, row->isnull, natts * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	filter->econtext->ecxt_scantuple = slot;
	result = ExecEvalExprSwitchContext(condition->state, filter->econtext, &isnull);
	return !isnull && DatumGetBool(result);
}

/* Arguments of ask(), which may be called through cdc_guarded(). */
typedef struct Question
{
	CdcRowFilter *filter;
	Condition  *condition;
	const CdcChange *change;
	bool		before;			/* the answers */
	bool		after;
} Question;

static void
ask(void *arg)
{
	Question   *q = arg;

	if (q->condition->state == NULL)
		prepare(q->filter, q->condition);
	q->before = matches(q->filter, q->condition, q->change->before);
	q->after = matches(q->filter, q->condition, q->change->after);
}

/* Large values that an UPDATE did not touch are logged in the old row only, if
 * at all. Returns whether one is missing. */
static bool
complete_row(TupleDesc tupdesc, const CdcRow *before, const CdcRow *after)
{
	bool		missing = false;

	for (int i = 0; i < tupdesc->natts; i++)
	{
		if (after->isnull[i] || TupleDescAttr(tupdesc, i)->attlen != -1 ||
			!VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(after->values[i])))
			continue;
		if (before != NULL && !before->isnull[i])
			after->values[i] = before->values[i];
		else
			missing = true;
	}
	return missing;
}

bool
cdc_rowfilter_apply(CdcRowFilter *filter, CdcChange *change, ErrorData **error)
{
	Cdc__V1__Op op = change->head.op;
	bool		update = op == CDC__V1__OP__OP_UPDATE;
	Condition  *condition = &filter->conditions[op == CDC__V1__OP__OP_REWRITE ?
												CDC__V1__OP__OP_INSERT : op];
	Question	q = {filter, condition, change};
	bool		guard;

	*error = NULL;
	if (condition->texts == NIL)
		return true;
	guard = condition->state == NULL || condition->may_raise;
	if (update && complete_row(filter->tupdesc, change->before, change->after))
		guard = true;
	if (guard)
		*error = cdc_guarded(ask, &q);
	else
		ask(&q);
	ResetExprContext(filter->econtext);
	if (*error != NULL)
		return false;

	if (update && change->before != NULL && q.before != q.after)
	{
		change->head.op = q.after ? CDC__V1__OP__OP_INSERT : CDC__V1__OP__OP_DELETE;
		if (q.after)
			change->before = NULL;
		else
			change->after = NULL;
	}
	return q.before || q.after;
}
