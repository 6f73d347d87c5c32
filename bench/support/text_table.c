#include "bench/support/text_table.h"

#include <stdarg.h>
#include <string.h>

void bench_text_table_cell(struct bench_text_table *table, const char *format, ...)
{
    if (table->rows >= BENCH_TABLE_ROWS || table->columns >= BENCH_TABLE_COLUMNS)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(table->cell[table->rows][table->columns], BENCH_CELL_MAX, format, args);
    va_end(args);
    table->columns++;
}

void bench_text_table_end_row(struct bench_text_table *table)
{
    if (table->rows < BENCH_TABLE_ROWS)
        table->rows++;
    table->columns = 0;
}

static size_t width(const struct bench_text_table *table, size_t column)
{
    size_t widest = 0;
    for (size_t r = 0; r < table->rows; r++) {
        size_t length = strlen(table->cell[r][column]);
        widest = length > widest ? length : widest;
    }
    return widest;
}

/* The column after the last cell of a row that has text: nothing is printed from there on. */
static size_t end_of_text(const struct bench_text_table *table, size_t row)
{
    size_t end = BENCH_TABLE_COLUMNS;
    while (end > 0 && table->cell[row][end - 1][0] == '\0')
        end--;
    return end;
}

void bench_text_table_print(const struct bench_text_table *table, FILE *out)
{
    for (size_t r = 0; r < table->rows; r++) {
        fprintf(out, "  %-*s", (int)width(table, 0), table->cell[r][0]);
        for (size_t c = 1; c < end_of_text(table, r); c++)
            if (width(table, c) > 0)
                fprintf(out, "  %*s", (int)width(table, c), table->cell[r][c]);
        fputc('\n', out);
    }
}
