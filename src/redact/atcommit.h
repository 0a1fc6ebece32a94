/*
 * atcommit.h
 *	  Positions in the WAL that are taken when the transaction commits.
 *
 * A rule that is removed counts for what was committed before its removal was: what others
 * commit while the removing transaction goes on is still protected.
 */
#ifndef CDC_ATCOMMIT_H
#define CDC_ATCOMMIT_H

/* The positions that this transaction has written, of rules that it has removed and of the
 * installation, become that of its COMMIT; PREPARE TRANSACTION is refused. */
extern void cdc_positions_at_end(void);

#endif							/* CDC_ATCOMMIT_H */
