/*
 * lookup FILE: asks libdb for every key on standard input and compares the first value.
 *
 * Input: records of key length, key, value length, value; lengths are 32-bit in the byte order of the machine.
 * Then it walks the file with a cursor and counts. It prints "N looked up, M listed" or says which key is wrong.
 */
#include <db.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int item(DBT *t)
{
	u_int32_t n;

	if (fread(&n, sizeof n, 1, stdin) != 1)
		return 0;
	memset(t, 0, sizeof *t);
	t->size = n;
	t->data = malloc(n + 1);
	if (t->data == NULL || (n > 0 && fread(t->data, n, 1, stdin) != 1)) {
		fprintf(stderr, "short input\n");
		exit(2);
	}
	return 1;
}

int main(int argc, char **argv)
{
	DB *db;
	DBC *cursor;
	DBT key, want, got;
	long looked = 0, listed = 0, bad = 0;
	int err;

	if (argc != 2 || (err = db_create(&db, NULL, 0)) != 0)
		return 2;
	if ((err = db->open(db, NULL, argv[1], NULL, DB_UNKNOWN, DB_RDONLY, 0)) != 0) {
		fprintf(stderr, "%s: %s\n", argv[1], db_strerror(err));
		return 1;
	}
	while (item(&key) && item(&want)) {
		memset(&got, 0, sizeof got);
		err = db->get(db, NULL, &key, &got, 0);
		looked++;
		if (err != 0 || got.size != want.size || memcmp(got.data, want.data, want.size) != 0) {
			if (bad++ < 5)
				fprintf(stderr, "record %ld (key of %u bytes): %s\n", looked, key.size,
				    err != 0 ? db_strerror(err) : "another value");
		}
		free(key.data);
		free(want.data);
	}
	if (db->cursor(db, NULL, &cursor, 0) != 0)
		return 2;
	memset(&key, 0, sizeof key);
	memset(&got, 0, sizeof got);
	while ((err = cursor->get(cursor, &key, &got, DB_NEXT)) == 0)
		listed++;
	if (err != DB_NOTFOUND) {
		fprintf(stderr, "cursor: %s\n", db_strerror(err));
		bad++;
	}
	cursor->close(cursor);
	db->close(db, 0);
	printf("%ld looked up, %ld listed\n", looked, listed);
	return bad != 0;
}
