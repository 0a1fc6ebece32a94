/*
 * cdc_bench_latency.c
 *	  Measures how long a transaction takes from its COMMIT to a consumer.
 *
 * Writers insert one row a transaction, at times that are fixed in advance; a
 * receiver reads a slot over the replication protocol. All are threads of this
 * process, so that one clock is enough. A row has a mark that stands as it is in
 * the output of every plugin; nothing else of a message is looked at, so the client
 * is the same for all.
 *
 * Latency is from just before COMMIT is sent until the message with the row has
 * been received. What the writer waits for its COMMIT is therefore in it.
 *
 * Prints: transactions, transactions per second reached, p50, p99, p99.9 and the
 * longest in microseconds, and how many were never received.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <libpq-fe.h>

#define MARK "@@cdc-bench-"
#define MARK_DIGITS 12
#define WARM_UP 1				/* seconds that do not count */
#define PATIENCE 20				/* seconds to wait for what is still missing */
#define DDL_INTERVAL 100000000	/* nanoseconds */

static const char *conninfo;
static const char *slot;
static int	rate;
static int	payload_size;
static int	seconds;
static int	writers;
static int	total;

static _Atomic int64_t *committed;	/* by number of transaction, in ns */
static int64_t *latency;		/* 0: not received */
static atomic_int received;
static atomic_bool written;
static int64_t began;
static atomic_llong ended;

static int64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void
sleep_until(int64_t when)
{
	struct timespec ts = {.tv_sec = when / 1000000000, .tv_nsec = when % 1000000000};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static void
die(PGconn *conn, const char *what)
{
	fprintf(stderr, "%s: %s\n", what, PQerrorMessage(conn));
	exit(1);
}

static PGconn *
connect_to(const char *more)
{
	char		text[1024];
	PGconn	   *conn;

	snprintf(text, sizeof(text), "%s %s", conninfo, more);
	conn = PQconnectdb(text);
	if (PQstatus(conn) != CONNECTION_OK)
		die(conn, "connection");
	return conn;
}

static void
check(PGconn *conn, PGresult *res, const char *what)
{
	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		die(conn, what);
	PQclear(res);
}

static void *
write_rows(void *arg)
{
	int			self = (int) (intptr_t) arg;
	PGconn	   *conn = connect_to("");
	char	   *payload = malloc(payload_size + 1);
	unsigned	seed = 1 + self;

	prctl(PR_SET_TIMERSLACK, 1);
	for (int i = 0; i < payload_size; i++)
		payload[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[rand_r(&seed) % 64];
	payload[payload_size] = '\0';
	check(conn, PQprepare(conn, "row", "INSERT INTO latency (id, mark, payload) VALUES ($1, $2, $3)", 3, NULL), "PREPARE");
	/* one round trip for the end of a transaction and the begin of the next */
	check(conn, PQprepare(conn, "next", "COMMIT AND CHAIN", 0, NULL), "PREPARE");
	check(conn, PQexec(conn, "BEGIN"), "BEGIN");

	for (int i = self; i < total; i += writers)
	{
		char		id[32];
		char		mark[64];
		const char *values[3] = {id, mark, payload};

		sleep_until(began + (int64_t) i * 1000000000 / rate);
		snprintf(id, sizeof(id), "%d", i);
		snprintf(mark, sizeof(mark), MARK "%0*d", MARK_DIGITS, i);
		check(conn, PQexecPrepared(conn, "row", 3, values, NULL, NULL, 0), "INSERT");
		atomic_store(&committed[i], now());
		check(conn, PQexecPrepared(conn, "next", 0, NULL, NULL, NULL, 0), "COMMIT");
	}
	atomic_store(&ended, now());
	PQfinish(conn);
	free(payload);
	return NULL;
}

/* Adds a column and drops it again, ten times a second. */
static void *
change_schema(void *arg)
{
	PGconn	   *conn = connect_to("");

	for (int n = 0; !atomic_load(&written); n++)
	{
		char		text[100];

		snprintf(text, sizeof(text), n % 2 == 0 ? "ALTER TABLE latency ADD COLUMN extra_%d int" :
				 "ALTER TABLE latency DROP COLUMN extra_%d", n / 2);
		check(conn, PQexec(conn, text), text);
		sleep_until(now() + DDL_INTERVAL);
	}
	PQfinish(conn);
	return NULL;
}

static void
acknowledge(PGconn *conn, uint64_t lsn)
{
	char		message[34] = {'r'};
	uint64_t	position = htobe64(lsn);

	for (int i = 0; i < 3; i++)
		memcpy(message + 1 + 8 * i, &position, 8);
	if (PQputCopyData(conn, message, sizeof(message)) <= 0 || PQflush(conn) < 0)
		die(conn, "feedback");
}

static uint64_t
get64(const char *from)
{
	uint64_t	value;

	memcpy(&value, from, 8);
	return be64toh(value);
}

static void
take(const char *data, int length, int64_t when)
{
	const char *mark = memmem(data, length, MARK, strlen(MARK));
	char		digits[MARK_DIGITS + 1] = {0};
	int			i;

	if (mark == NULL || mark + strlen(MARK) + MARK_DIGITS > data + length)
		return;
	memcpy(digits, mark + strlen(MARK), MARK_DIGITS);
	i = atoi(digits);
	if (i < 0 || i >= total || latency[i] != 0)
	{
		fprintf(stderr, "transaction %d was received twice or never sent\n", i);
		exit(1);
	}
	latency[i] = when - atomic_load(&committed[i]);
	atomic_fetch_add(&received, 1);
}

static void *
receive(void *arg)
{
	PGconn	   *conn = arg;
	int64_t		last_feedback = now();
	int64_t		give_up = INT64_MAX;
	uint64_t	lsn = 0;

	while (atomic_load(&received) < total && now() < give_up)
	{
		char	   *data;
		int			length = PQgetCopyData(conn, &data, 1);
		int64_t		when = now();

		if (length < 0)
			die(conn, "stream");
		if (length == 0)
		{
			struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};

			poll(&fd, 1, 100);
			if (PQconsumeInput(conn) == 0)
				die(conn, "stream");
		}
		else
		{
			uint64_t	position = get64(data + (data[0] == 'w' ? 9 : 1));

			if (position > lsn)
				lsn = position;
			if (data[0] == 'w')
				take(data + 25, length - 25, when);
			else if (data[0] == 'k' && data[17])
				last_feedback = 0;
			PQfreemem(data);
		}
		if (when - last_feedback > 1000000000)
		{
			acknowledge(conn, lsn);
			last_feedback = when;
		}
		if (give_up == INT64_MAX && atomic_load(&written))
			give_up = when + PATIENCE * INT64_C(1000000000);
	}
	return NULL;
}

static PGconn *
start_replication(char **options, int count)
{
	PGconn	   *conn = connect_to("replication=database");
	char		command[2048];
	int			used = snprintf(command, sizeof(command), "START_REPLICATION SLOT %s LOGICAL 0/0", slot);

	for (int i = 0; i < count; i++)
	{
		char	   *value = strchr(options[i], '=');

		*value++ = '\0';
		used += snprintf(command + used, sizeof(command) - used, "%s\"%s\" '%s'",
						 i == 0 ? " (" : ", ", options[i], value);
	}
	if (count > 0)
		snprintf(command + used, sizeof(command) - used, ")");
	if (PQresultStatus(PQexec(conn, command)) != PGRES_COPY_BOTH)
		die(conn, command);
	return conn;
}

static int
compare(const void *a, const void *b)
{
	int64_t		x = *(const int64_t *) a;
	int64_t		y = *(const int64_t *) b;

	return (x > y) - (x < y);
}

static void
print_results(void)
{
	int			first = WARM_UP * rate;
	int			n = 0;
	int64_t    *sorted = malloc(sizeof(int64_t) * total);

	for (int i = first; i < total; i++)
		if (latency[i] != 0)
			sorted[n++] = latency[i];
	qsort(sorted, n, sizeof(int64_t), compare);
	if (n == 0)
	{
		fprintf(stderr, "nothing was received\n");
		exit(1);
	}
	printf("%d %.0f %.1f %.1f %.1f %.1f %d\n", n, total / ((atomic_load(&ended) - began) / 1e9),
		   sorted[n / 2] / 1e3, sorted[(int) (n * 0.99)] / 1e3, sorted[(int) (n * 0.999)] / 1e3,
		   sorted[n - 1] / 1e3, total - first - n);
	free(sorted);
}

int
main(int argc, char **argv)
{
	pthread_t	threads[64];
	pthread_t	receiver;
	pthread_t	ddl;
	int			with_ddl;
	PGconn	   *stream;

	if (argc < 8)
	{
		fprintf(stderr, "usage: %s conninfo slot rate payload seconds writers ddl [option=value]...\n", argv[0]);
		return 2;
	}
	conninfo = argv[1];
	slot = argv[2];
	rate = atoi(argv[3]);
	payload_size = atoi(argv[4]);
	seconds = atoi(argv[5]);
	writers = atoi(argv[6]);
	with_ddl = atoi(argv[7]);
	if (rate < 1 || payload_size < 1 || seconds < 1 || writers < 1 || writers > 64)
		return 2;
	total = rate * (seconds + WARM_UP);
	committed = calloc(total, sizeof(*committed));
	latency = calloc(total, sizeof(*latency));

	stream = start_replication(argv + 8, argc - 8);
	began = now() + 100000000;
	pthread_create(&receiver, NULL, receive, stream);
	for (int i = 0; i < writers; i++)
		pthread_create(&threads[i], NULL, write_rows, (void *) (intptr_t) i);
	if (with_ddl)
		pthread_create(&ddl, NULL, change_schema, NULL);
	for (int i = 0; i < writers; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&written, true);
	if (with_ddl)
		pthread_join(ddl, NULL);
	pthread_join(receiver, NULL);
	PQfinish(stream);
	print_results();
	return 0;
}
