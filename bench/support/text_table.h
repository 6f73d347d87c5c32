/* A table of text whose columns are as wide as what is in them: the first is flush left, the
 * others flush right. All-zero bytes are an empty table. */
#ifndef BENCH_SUPPORT_TEXT_TABLE_H
#define BENCH_SUPPORT_TEXT_TABLE_H

#include <stddef.h>
#include <stdio.h>

enum { BENCH_TABLE_ROWS = 32, BENCH_TABLE_COLUMNS = 32, BENCH_CELL_MAX = 32 };

struct bench_text_table {
    size_t rows, columns; /* rows that are ended; cells in the row that is not */
    char cell[BENCH_TABLE_ROWS][BENCH_TABLE_COLUMNS][BENCH_CELL_MAX];
};

/* Adds a cell to the present row. What exceeds the table's size is left out. */
void bench_text_table_cell(struct bench_text_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void bench_text_table_end_row(struct bench_text_table *table);
void bench_text_table_print(const struct bench_text_table *table, FILE *out);

#endif
