/*
 * jsonwalker.c
 *	  Redacts parts inside of JSON values, one token after the other.
 *
 * Every value has its places: for each rule that may be about it, or about
 * something inside, how many steps of the path lead to it. A path leads to a value
 * in one way at most, so there are never more places than rules.
 */
#include "postgres.h"

#include "json/jsontokens.h"
#include "json/jsonvalue.h"
#include "redact/jsonwalker.h"

/* No server has the stack to store a value that is nested deeper. */
#define MAX_DEPTH 1000000

typedef struct Place
{
	int			rule;
	int			step;			/* those before it lead here */
} Place;

/* An open object or array. */
typedef struct Level
{
	bool		object;
	bool		written;		/* something in it has been written */
	int			first;			/* in Walk.places: for an object those of itself, for */
	int			n;				/* an array those of each element */
} Level;

typedef struct Walk
{
	StringInfo	out;
	const CdcJsonRule *rules;
	StringInfoData levels;		/* of Level */
	StringInfoData places;		/* of Place: those of the open levels */
	StringInfoData name;		/* of a member; or the text of a scalar */
	StringInfoData redacted;
	const char *key;			/* the member's whose value comes: in quotes */
	int			key_len;
	int			gone;			/* depth of a value that is replaced; -1: none is */
} Walk;

/* What becomes of a value. */
typedef enum Fate
{
	FATE_KEPT,					/* it, or what is inside */
	FATE_GONE,					/* nothing */
	FATE_REPLACED,				/* by a constant or null */
	FATE_REDACTED,				/* the text of a scalar */
	FATE_WITHHELD				/* nothing of the whole value may be sent */
} Fate;

static inline int
depth(const Walk *walk)
{
	return walk->levels.len / (int) sizeof(Level);
}

static inline Level *
top(Walk *walk)
{
	return (Level *) (walk->levels.data + walk->levels.len) - 1;
}

static inline Place *
place_at(Walk *walk, int i)
{
	return (Place *) walk->places.data + i;
}

static inline int
count_places(const Walk *walk)
{
	return walk->places.len / (int) sizeof(Place);
}

static void
add_place(Walk *walk, int rule, int step)
{
	Place		place = {rule, step};

	appendBinaryStringInfo(&walk->places, (char *) &place, sizeof(place));
}

/* Whether a step leads to the member whose name is in walk->name. */
static bool
leads_to(const Walk *walk, const CdcJsonStep *step)
{
	return step->kind == CDC_STEP_MEMBERS ||
		(step->kind == CDC_STEP_MEMBER && step->len == walk->name.len &&
		 memcmp(step->name, walk->name.data, step->len) == 0);
}

/* Adds the places of the value that comes: a member, an element, or all. False if
 * a name cannot be told. */
static bool
enter(Walk *walk, int nrules)
{
	Level	   *level = depth(walk) > 0 ? top(walk) : NULL;

	if (level == NULL)
	{
		for (int i = 0; i < nrules; i++)
			add_place(walk, i, 0);
		return true;
	}
	if (level->n > 0 && level->object)
	{
		resetStringInfo(&walk->name);
		if (!cdc_json_unescape(&walk->name, walk->key + 1, walk->key + walk->key_len - 1))
			return false;
	}
	for (int i = level->first; i < level->first + level->n; i++)
	{
		Place		place = *place_at(walk, i);

		if (!level->object)
			add_place(walk, place.rule, place.step);
		else if (leads_to(walk, &walk->rules[place.rule].path->steps[place.step]))
			add_place(walk, place.rule, place.step + 1);
	}
	return true;
}

/* [*] of what is no array is the value itself. */
static void
pass_elements(Walk *walk, Place *place)
{
	const CdcJsonPath *path = walk->rules[place->rule].path;

	while (place->step < path->nsteps && path->steps[place->step].kind == CDC_STEP_ELEMENTS)
		place->step++;
}

/* Decides on the value at p, whose places are those from `first` on. What it is to
 * be replaced by, or redacted as, is in *redaction. */
static Fate
decide(Walk *walk, int first, char p, const CdcRedaction **redaction)
{
	bool		nested = p == '{' || p == '[';
	bool		deeper = false;
	bool		contradiction = false;
	const CdcRedaction *strictest = NULL;

	for (int i = first; i < count_places(walk); i++)
	{
		Place	   *place = place_at(walk, i);
		const CdcRedaction *other = walk->rules[place->rule].redaction;

		if (p != '[')
			pass_elements(walk, place);
		if (place->step < walk->rules[place->rule].path->nsteps)
			deeper = true;
		else if (strictest == NULL || cdc_method_stricter(other->method, strictest->method))
		{
			strictest = other;
			contradiction = false;
		}
		else if (!cdc_method_stricter(strictest->method, other->method) &&
				 !cdc_redaction_equal(strictest, other))
			contradiction = true;
	}
	*redaction = strictest;
	if (strictest != NULL && strictest->method == CDC_METHOD_DROP)
		return depth(walk) == 0 ? FATE_WITHHELD : FATE_GONE;
	if (p == 'n')
		return FATE_KEPT;
	if (contradiction)
		return FATE_WITHHELD;
	if (strictest != NULL &&
		(strictest->method == CDC_METHOD_NULL || strictest->method == CDC_METHOD_CONSTANT))
		return FATE_REPLACED;
	if (strictest != NULL && nested)
		return FATE_WITHHELD;
	if (deeper && !nested)
		return FATE_WITHHELD;
	return strictest == NULL ? FATE_KEPT : FATE_REDACTED;
}

/* What stands before a value. */
static void
write_before(Walk *walk)
{
	Level	   *level;

	if (depth(walk) == 0)
		return;
	level = top(walk);
	if (level->written)
		appendStringInfoChar(walk->out, ',');
	level->written = true;
	if (!level->object)
		return;
	appendBinaryStringInfo(walk->out, walk->key, walk->key_len);
	appendStringInfoChar(walk->out, ':');
}

static void
write_replacement(Walk *walk, const CdcRedaction *redaction)
{
	if (redaction->method == CDC_METHOD_NULL)
		appendStringInfoString(walk->out, "null");
	else
		cdc_json_string(walk->out, redaction->value, strlen(redaction->value));
}

/* A scalar, redacted; false if it is no text. */
static bool
write_redacted(Walk *walk, const CdcRedaction *redaction, const char *p, const char *end)
{
	resetStringInfo(&walk->name);
	resetStringInfo(&walk->redacted);
	if (*p != '"')
		appendBinaryStringInfo(&walk->name, p, (int) (end - p));
	else if (!cdc_json_unescape(&walk->name, p + 1, end - 1))
		return false;
	cdc_redact_text(&walk->redacted, redaction, walk->name.data, walk->name.len);
	cdc_json_string(walk->out, walk->redacted.data, walk->redacted.len);
	return true;
}

/* Opens an object or array whose places are those from `first` on: as its elements
 * have them. */
static bool
open_level(Walk *walk, char bracket, int first)
{
	Level		level = {bracket == '{', false, first, count_places(walk) - first};

	if (depth(walk) == MAX_DEPTH)
		return false;
	for (int i = first; !level.object && i < count_places(walk); i++)
	{
		Place	   *place = place_at(walk, i);

		if (walk->rules[place->rule].path->steps[place->step].kind == CDC_STEP_ELEMENTS)
			place->step++;
	}
	appendBinaryStringInfo(&walk->levels, (char *) &level, sizeof(level));
	return true;
}

/* The value at p; the byte after it, or after its opening bracket. NULL where all is
 * to be withheld. */
static const char *
take_value(Walk *walk, int nrules, const char *p, const char *end)
{
	bool		nested = *p == '{' || *p == '[';
	bool		inside_gone = walk->gone >= 0;
	int			first = count_places(walk);
	const char *after = nested ? p + 1 : cdc_json_scan_scalar(p, end);
	const CdcRedaction *redaction = NULL;
	Fate		fate = FATE_GONE;

	if (after == NULL)
		return NULL;
	if (!inside_gone)
	{
		if (!enter(walk, nrules))
			return NULL;
		fate = decide(walk, first, *p, &redaction);
	}
	if (fate == FATE_WITHHELD)
		return NULL;
	if (fate != FATE_GONE)
		write_before(walk);
	if (fate == FATE_REPLACED)
		write_replacement(walk, redaction);
	else if (fate == FATE_KEPT)
		appendBinaryStringInfo(walk->out, p, (int) (after - p));
	else if (fate == FATE_REDACTED && !write_redacted(walk, redaction, p, after))
		return NULL;
	if (!nested || fate != FATE_KEPT)
		walk->places.len = first * (int) sizeof(Place);
	if (nested)
	{
		if (fate != FATE_KEPT && !inside_gone)
			walk->gone = depth(walk);
		if (!open_level(walk, *p, first))
			return NULL;
	}
	return after;
}

static void
close_level(Walk *walk, char bracket)
{
	walk->places.len = top(walk)->first * (int) sizeof(Place);
	walk->levels.len -= (int) sizeof(Level);
	if (walk->gone < 0)
		appendStringInfoChar(walk->out, bracket);
	else if (walk->gone == depth(walk))
		walk->gone = -1;
}

static bool
take_tokens(Walk *walk, int nrules, const char *p, const char *end)
{
	enum
	{
		VALUE,					/* a value must follow */
		FIRST_VALUE,			/* a value or ] */
		KEY,					/* a key */
		FIRST_KEY,				/* a key or } */
		AFTER					/* a value has ended */
	}			expect = VALUE;

	for (p = cdc_json_skip_space(p, end); p < end; p = cdc_json_skip_space(p, end))
	{
		bool		open = depth(walk) > 0;
		bool		object = open && top(walk)->object;

		if (expect == AFTER && *p == ',' && open)
		{
			p++;
			expect = object ? KEY : VALUE;
		}
		else if (((expect == AFTER || expect == FIRST_KEY) && *p == '}' && object) ||
				 ((expect == AFTER || expect == FIRST_VALUE) && *p == ']' && open && !object))
		{
			close_level(walk, *p++);
			expect = AFTER;
		}
		else if (expect == AFTER)
			return false;
		else if (expect == KEY || expect == FIRST_KEY)
		{
			walk->key = p;
			if (*p != '"' || (p = cdc_json_scan_string(p, end)) == NULL)
				return false;
			walk->key_len = (int) (p - walk->key);
			p = cdc_json_skip_space(p, end);
			if (p == end || *p != ':')
				return false;
			p++;
			expect = VALUE;
		}
		else
		{
			char		first = *p;

			if ((p = take_value(walk, nrules, p, end)) == NULL)
				return false;
			expect = first == '{' ? FIRST_KEY : first == '[' ? FIRST_VALUE : AFTER;
		}
	}
	return expect == AFTER && walk->levels.len == 0;
}

bool
cdc_json_redact(StringInfo out, const CdcJsonRule *rules, int nrules, const char *text, int len)
{
	Walk		walk = {.out = out, .rules = rules, .gone = -1};
	bool		done;

	initStringInfo(&walk.levels);
	initStringInfo(&walk.places);
	initStringInfo(&walk.name);
	initStringInfo(&walk.redacted);
	done = take_tokens(&walk, nrules, text, text + len);
	pfree(walk.levels.data);
	pfree(walk.places.data);
	pfree(walk.name.data);
	pfree(walk.redacted.data);
	return done;
}
