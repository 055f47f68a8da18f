#include "../splitmix.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 50000, MOST_CITIES = 64, PARTS = 64 };
const char *CITIES[] = {"Accra", "Bern", "Cusco", "Dhaka", "Evora", "Fes", "Gent", "Hanoi"};

typedef struct { char name[16]; unsigned long count, sum; } City;
typedef struct { City cities[MOST_CITIES]; int len; } Table;

static void add(Table *table, const char *name, unsigned long count, unsigned long sum) {
    int i = 0;
    while (i < table->len && strcmp(table->cities[i].name, name)) i++;
    if (i == MOST_CITIES) exit(1);
    if (i == table->len) strcpy(table->cities[table->len++].name, name);
    table->cities[i].count += count;
    table->cities[i].sum += sum;
}

static int by_name(const void *a, const void *b) { return strcmp(((City *)a)->name, ((City *)b)->name); }

int main(void) {
    char *text = malloc(ROWS * 16), *end = text;
    for (uint64_t i = 0; i < ROWS; i++)
        end += sprintf(end, "%s,%d\n", CITIES[bits(2 * i) % 8], (int)(bits(2 * i + 1) % 400));
    // Every part ends with a line.
    char *cuts[PARTS + 1] = {text};
    for (int i = 1; i <= PARTS; i++) {
        cuts[i] = text + (end - text) * i / PARTS;
        while (cuts[i] > text && cuts[i][-1] != '\n') cuts[i]--;
    }

    static Table table;
    #pragma omp parallel
    {
        Table own = {0};
        #pragma omp for schedule(dynamic)
        for (int part = 0; part < PARTS; part++) {
            for (char *line = cuts[part]; line < cuts[part + 1]; line = strchr(line, '\n') + 1) {
                char name[16];
                unsigned long value;
                if (sscanf(line, "%15[^,],%lu", name, &value) != 2) exit(1);
                add(&own, name, 1, value);
            }
        }
        #pragma omp critical
        for (int i = 0; i < own.len; i++)
            add(&table, own.cities[i].name, own.cities[i].count, own.cities[i].sum);
    }
    qsort(table.cities, table.len, sizeof(City), by_name);
    for (City *city = table.cities; city < table.cities + table.len; city++)
        printf("%s %lu %.3f\n", city->name, city->count, (double)city->sum / city->count);
    free(text);
}
