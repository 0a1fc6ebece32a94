/*
 * hmac.c
 *	  src/redact/hmac.c, in both of its forms, gives what RFC 4231 says.
 */
#include "postgres_fe.h"

/* for its source, which is a server's */
#define POSTGRES_H
#define elog(level, text) (fprintf(stderr, "%s\n", (text)), abort())
#include "../../src/redact/hmac.c"

#include "tap.h"

#define REPEAT10(s) s s s s s s s s s s

static const struct
{
	const char *name;
	const char *key;
	const char *data;
	const char *digest;
}			cases[] =
{
	{"1: a key of 20 bytes", "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", "Hi There",
	"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
	{"2: a short key", "Jefe", "what do ya want for nothing?",
	"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	{"3: data beside a key of 20 bytes", REPEAT10("\xaa") REPEAT10("\xaa"), REPEAT10("\xdd\xdd\xdd\xdd\xdd"),
	"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
	{"4: a key of 25 bytes",
		"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19", REPEAT10("\xcd\xcd\xcd\xcd\xcd"),
	"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
	/* by another program: hmac.new(b"k" * 64, b"0123456789" * 100, "sha256") */
	{"a key of a block, data of many",
		REPEAT10("kkkkkk") "kkkk", REPEAT10(REPEAT10("0123456789")), "930e9be6195604f7fc41b51d4d05137f91112f46cf98e1156f5f3975a84d64d1"},
	{"nothing", REPEAT10("kkk") "kk", "", "a4ad8e340e32bf1d916005cb1dc92795148897965e36ae56c0adc357474b5372"},
};

int
main(void)
{
	for (int i = 0; i < lengthof(cases); i++)
	{
		CdcHmacKey	key;
		uint8		digest[CDC_HMAC_BYTES];
		char		hex[2 * CDC_HMAC_BYTES + 1];

		cdc_hmac_prepare(&key, (const uint8 *) cases[i].key, (int) strlen(cases[i].key));
		/* a key can be used again */
		for (int again = 0; again < 2; again++)
			cdc_hmac(&key, cases[i].data, strlen(cases[i].data), digest);
		for (int b = 0; b < CDC_HMAC_BYTES; b++)
			sprintf(hex + 2 * b, "%02x", digest[b]);
		if (!ok(strcmp(hex, cases[i].digest) == 0, "%s", cases[i].name))
			diag("%s instead of %s", hex, cases[i].digest);
	}
	return done_testing();
}
