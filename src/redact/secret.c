/*
 * secret.c
 *	  Reads and makes secrets for hashes.
 *
 * cdc.redaction_secret says which large object has the secret of which number.
 * They are read straight from the catalog, as the extension's tables are.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_largeobject.h"
#include "catalog/pg_largeobject_metadata.h"
#include "libpq/libpq-fs.h"
#include "miscadmin.h"
#include "storage/large_object.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "catalog/exttable.h"
#include "compat.h"
#include "redact/secret.h"

#define TABLE "redaction_secret"

/* Whether it belongs to the extension's owner. Somebody else knows what he has made, also
 * where a restore has found the number taken. */
static bool
is_owned(Oid loid, Oid owner)
{
	Relation	rel = table_open(LargeObjectMetadataRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tup;
	bool		owned;

	ScanKeyInit(&key, Anum_pg_largeobject_metadata_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(loid));
	scan = systable_beginscan(rel, LargeObjectMetadataOidIndexId, true, NULL, 1, &key);
	tup = systable_getnext(scan);
	owned = HeapTupleIsValid(tup) &&
		((Form_pg_largeobject_metadata) GETSTRUCT(tup))->lomowner == owner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return owned;
}

/* The bytes of a large object, if they are as many as a secret has. */
static bool
read_object(Oid loid, uint8 *bytes)
{
	Relation	rel = table_open(LargeObjectRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tup;
	bool		found = false;

	ScanKeyInit(&key, Anum_pg_largeobject_loid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(loid));
	scan = systable_beginscan(rel, LargeObjectLOidPNIndexId, true, NULL, 1, &key);
	if (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		bool		isnull;
		bytea	   *data = DatumGetByteaPP(heap_getattr(tup, Anum_pg_largeobject_data,
														RelationGetDescr(rel), &isnull));

		found = VARSIZE_ANY_EXHDR(data) == CDC_SECRET_BYTES;
		if (found)
			memcpy(bytes, VARDATA_ANY(data), CDC_SECRET_BYTES);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* The highest number, and its object. */
static int
newest(Relation rel, Oid *loid)
{
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tup;
	int			result = 0;

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		int			number = cdc_exttable_int(rel, tup, Anum_cdc_redaction_secret_number, 0);

		if (number > result)
		{
			result = number;
			*loid = cdc_exttable_oid(rel, tup, Anum_cdc_redaction_secret_large_object);
		}
	}
	systable_endscan(scan);
	return result;
}

void
cdc_secret_read(CdcSecret *secret)
{
	Relation	rel = cdc_exttable_open(TABLE, AccessShareLock);
	Oid			loid = InvalidOid;
	uint8		bytes[CDC_SECRET_BYTES];

	secret->number = 0;
	if (rel == NULL)
		return;
	secret->number = newest(rel, &loid);
	if (secret->number > 0 && (!is_owned(loid, rel->rd_rel->relowner) || !read_object(loid, bytes)))
		secret->number = 0;
	if (secret->number > 0)
		cdc_hmac_prepare(&secret->key, bytes, sizeof(bytes));
	explicit_bzero(bytes, sizeof(bytes));
	table_close(rel, AccessShareLock);
}

/* A large object of the extension's owner. */
static Oid
create_object(const uint8 *bytes, Oid owner)
{
	Oid			user;
	int			context;
	Oid			loid;
	LargeObjectDesc *object;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE);
	loid = inv_create(InvalidOid);
	CommandCounterIncrement();
	object = inv_open(loid, INV_WRITE, CurrentMemoryContext);
	if (inv_write(object, (const char *) bytes, CDC_SECRET_BYTES) != CDC_SECRET_BYTES)
		elog(ERROR, "could not write a large object");
	inv_close(object);
	close_lo_relation(true);
	SetUserIdAndSecContext(user, context);
	return loid;
}

int
cdc_secret_create(void)
{
	Relation	rel = cdc_exttable_open(TABLE, ShareRowExclusiveLock);
	uint8		bytes[CDC_SECRET_BYTES];
	Oid			loid = InvalidOid;
	int			number;
	Datum		values[Natts_cdc_redaction_secret];
	bool		nulls[Natts_cdc_redaction_secret] = {false};

	if (rel == NULL)
		elog(ERROR, "table cdc.redaction_secret does not exist");
	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random secret")));
	number = newest(rel, &loid) + 1;
	loid = create_object(bytes, rel->rd_rel->relowner);
	explicit_bzero(bytes, sizeof(bytes));
	values[Anum_cdc_redaction_secret_number - 1] = Int32GetDatum(number);
	values[Anum_cdc_redaction_secret_large_object - 1] = ObjectIdGetDatum(loid);
	values[Anum_cdc_redaction_secret_created_at - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[Anum_cdc_redaction_secret_created_by - 1] = cdc_exttable_user();
	cdc_exttable_insert(rel, values, nulls);
	table_close(rel, NoLock);
	CommandCounterIncrement();
	return number;
}
