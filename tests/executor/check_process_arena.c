/* The memory that a pool's processes share, as it is handed out. */
#include <errno.h>
#include <string.h>

#include "executor/process_arena.h"
#include "kernel/inject.h"
#include "kernel/shared_memory.h"

#include "../thread/suite.h"

static struct fxi_arena arena;

static void set_up(void)
{
    memset(&arena, 0, sizeof arena);
    ck_assert_int_eq(fxi_arena_init(&arena), 0);
}

static void tear_down(void)
{
    fxi_arena_destroy(&arena);
}

static char *get(size_t size, struct fxi_payload *payload)
{
    memset(payload, 0, sizeof *payload);
    return fxi_arena_get(&arena, NULL, 0, size, payload);
}

static bool is_all(const char *bytes, size_t size, char value)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static const size_t sizes[] = { 0, 1, 64, 65, 4096, 32768, 32769, 300000, 5 << 20 };

#define SIZES (sizeof sizes / sizeof *sizes)

START_TEST(what_is_handed_out_is_zero_aligned_and_its_own)
{
    struct fxi_payload payloads[SIZES];
    char *memory[SIZES];
    for (int round = 0; round < 2; round++) { /* the second time it is used memory */
        for (size_t i = 0; i < SIZES; i++) {
            memory[i] = get(sizes[i], &payloads[i]);
            ck_assert_ptr_nonnull(memory[i]);
            ck_assert_uint_eq((uintptr_t)memory[i] % 64, 0);
            ck_assert(memory[i] >= arena.base && memory[i] + sizes[i] <= arena.base + arena.size);
            ck_assert(is_all(memory[i], sizes[i], 0));
            memset(memory[i], (int)i + 1, sizes[i]);
        }
        for (size_t i = 0; i < SIZES; i++)
            ck_assert(is_all(memory[i], sizes[i], (char)(i + 1)));
        for (size_t i = 0; i < SIZES; i++)
            fxi_arena_put(&arena, &payloads[(i * 5 + 3) % SIZES]);
    }
}
END_TEST

START_TEST(the_head_is_copied_and_the_rest_is_zero)
{
    static char head[700000];
    struct fxi_payload payload;
    memset(head, 7, sizeof head);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < SIZES; i++) {
            size_t size = sizes[i] < sizeof head ? sizes[i] : sizeof head;
            memset(&payload, 0, sizeof payload);
            char *memory = fxi_arena_get(&arena, head, size, size + 10000, &payload);
            ck_assert(is_all(memory, size, 7));
            ck_assert(is_all(memory + size, 10000, 0));
            memset(memory, 9, size + 10000);
            fxi_arena_put(&arena, &payload);
        }
    }
}
END_TEST

START_TEST(what_is_put_back_is_handed_out_again)
{
    struct fxi_payload payload;
    for (size_t i = 0; i < SIZES; i++) {
        char *first = get(sizes[i], &payload);
        fxi_arena_put(&arena, &payload);
        ck_assert_ptr_eq(get(sizes[i], &payload), first);
        fxi_arena_put(&arena, &payload);
    }
}
END_TEST

static size_t extents(void)
{
    size_t n = 0;
    fxi_list_for_each(node, &arena.extents)
        n++;
    return n;
}

/* In every order in which three neighbours can be put back. */
START_TEST(neighbours_are_joined_again)
{
    static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                      { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    struct fxi_payload payloads[3];
    size_t before = extents();
    for (int i = 0; i < 3; i++)
        ck_assert_ptr_nonnull(get(100000, &payloads[i]));
    ck_assert_uint_eq(extents(), before + 3);
    for (int i = 0; i < 3; i++)
        fxi_arena_put(&arena, &payloads[orders[_i][i]]);
    ck_assert_uint_eq(extents(), before);
}
END_TEST

/* More than one window of them, put back in another order; all but one window go. */
START_TEST(empty_windows_go_but_for_one)
{
    enum { N = 5000 };
    static struct fxi_payload payloads[N];
    static char *memory[N];
    for (int i = 0; i < N; i++) {
        memory[i] = get(200, &payloads[i]);
        ck_assert_ptr_nonnull(memory[i]);
        memcpy(memory[i], &i, sizeof i);
    }
    ck_assert_uint_gt(extents(), 4);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(memcmp(memory[i], &i, sizeof i), 0);
    for (int i = 0; i < N; i++)
        fxi_arena_put(&arena, &payloads[i * 7 % N]);
    ck_assert_uint_le(extents(), 3); /* the window, what is free before it, and after it */
}
END_TEST

START_TEST(without_memory_there_is_nothing_and_nothing_changes)
{
    struct fxi_payload payload;
    for (int kind = 0; kind < 2; kind++) {
        for (size_t i = 0; i < SIZES; i++) {
            size_t before = extents();
            fxi_inject_arm(kind ? FXI_INJECT_MMAP : FXI_INJECT_ALLOC, 1, ENOMEM);
            char *memory = get(sizes[i], &payload);
            bool was_asked = fxi_inject_count(kind ? FXI_INJECT_MMAP : FXI_INJECT_ALLOC) > 0;
            fxi_inject_disarm();
            ck_assert(memory == NULL || !was_asked); /* a small one may have had its window */
            if (!memory)
                ck_assert_uint_eq(extents(), before);
            else
                fxi_arena_put(&arena, &payload);
        }
    }
    ck_assert_ptr_null(get(arena.size + 1, &payload));
    ck_assert_ptr_null(get(SIZE_MAX - 5000, &payload));
}
END_TEST

START_TEST(after_the_close_nothing_new_is_handed_out_and_the_old_stays)
{
    struct fxi_payload small, large, none;
    char *one = get(100, &small), *other = get(100000, &large);
    fxi_arena_close(&arena);
    ck_assert_ptr_null(get(40000, &none));
    ck_assert_ptr_null(get(4000, &none)); /* that would need a window */
    memset(one, 1, 100);
    memset(other, 2, 100000);
    ck_assert(is_all(one, 100, 1) && is_all(other, 100000, 2));
    fxi_arena_put(&arena, &small);
    fxi_arena_put(&arena, &large);
}
END_TEST

START_TEST(memory_is_known)
{
    ck_assert_uint_gt(fxi_memory_of_machine(), (size_t)64 << 20);
    ck_assert_uint_gt(fxi_memory_available(), (size_t)1 << 20);
    ck_assert_uint_ge(arena.size, (size_t)16 << 20);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_is_handed_out_is_zero_aligned_and_its_own);
    tcase_add_test(tests, the_head_is_copied_and_the_rest_is_zero);
    tcase_add_test(tests, what_is_put_back_is_handed_out_again);
    tcase_add_loop_test(tests, neighbours_are_joined_again, 0, 6);
    tcase_add_test(tests, empty_windows_go_but_for_one);
    tcase_add_test(tests, without_memory_there_is_nothing_and_nothing_changes);
    tcase_add_test(tests, after_the_close_nothing_new_is_handed_out_and_the_old_stays);
    tcase_add_test(tests, memory_is_known);
}

int main(void)
{
    return run_suite("process arena", add_tests);
}
