/* The board on which tasks are posted, with the worker's side of it in the same process: every
 * state of a job, and who is roused. */
#include <pthread.h>
#include <stdlib.h>

#include "executor/process_board.h"
#include "await.h"

#include "../thread/suite.h"

enum { SEATS = 70 }; /* two words of idle ones */

static struct fxi_board *board;
static uint64_t tail;

static uint64_t post(uint32_t job)
{
    fxi_board_post(board, job, tail);
    return tail++;
}

static void set_up(void)
{
    size_t bytes = (fxi_board_bytes(SEATS) + 63) / 64 * 64;
    board = aligned_alloc(64, bytes);
    memset(board, 0, bytes);
    tail = 0;
}

static void tear_down(void)
{
    free(board);
}

static enum fxi_job_state state_of(uint32_t job)
{
    return fxi_job_state(board->jobs[job].word);
}

static bool withdraw(uint32_t job, uint64_t ticket)
{
    uint64_t open = fxi_job_word(ticket, 0, FXI_JOB_OPEN);
    return fxi_cas_acq_rel(&board->jobs[job].word, &open, fxi_job_word(ticket, 0, FXI_JOB_WITHDRAWN));
}

START_TEST(tasks_are_taken_in_the_order_of_posting)
{
    uint64_t ticket;
    ck_assert_int_eq(fxi_board_take(board, 3, &ticket), -1);
    for (uint32_t round = 0; round < 3 * FXI_JOBS; round += 4) { /* past the end of the line, too */
        for (uint32_t i = 0; i < 4; i++)
            ck_assert_uint_eq(post((round + 3 - i) % FXI_JOBS), round + i);
        for (uint32_t i = 0; i < 4; i++) {
            int job = fxi_board_take(board, 3, &ticket);
            ck_assert_int_eq(job, (int)((round + 3 - i) % FXI_JOBS));
            ck_assert_uint_eq(ticket, round + i);
            ck_assert_int_eq(state_of((uint32_t)job), FXI_JOB_TAKEN);
            ck_assert_uint_eq(fxi_job_seat(board->jobs[job].word), 3);
        }
        ck_assert_int_eq(fxi_board_take(board, 3, &ticket), -1);
    }
}
END_TEST

START_TEST(what_is_withdrawn_is_not_taken_and_is_passed)
{
    uint64_t tickets[4], ticket;
    for (uint32_t i = 0; i < 4; i++)
        tickets[i] = post(i);
    ck_assert(withdraw(0, tickets[0]) && withdraw(1, tickets[1]) && withdraw(3, tickets[3]));
    ck_assert(!fxi_board_has_passed(board, tickets[0]));
    ck_assert(fxi_board_has_open(board));
    ck_assert(fxi_board_has_passed(board, tickets[1]) && !fxi_board_has_passed(board, tickets[2]));
    ck_assert_int_eq(fxi_board_take(board, 0, &ticket), 2);
    ck_assert(!withdraw(2, tickets[2])); /* it has begun */
    ck_assert(!fxi_board_has_open(board));
    ck_assert(fxi_board_has_passed(board, tickets[3]));
}
END_TEST

/* A worker that dies after its compare-and-swap, before it moves the head. */
START_TEST(the_head_moves_past_a_job_whose_worker_died_in_between)
{
    uint64_t first = post(0), ticket;
    post(1);
    board->jobs[0].word = fxi_job_word(first, 9, FXI_JOB_TAKEN);
    ck_assert_uint_eq(board->head, first);
    ck_assert_int_eq(fxi_board_take(board, 1, &ticket), 1);
    ck_assert_int_eq(fxi_board_take(board, 1, &ticket), -1);
}
END_TEST

/* A worker that is late by a whole posting: the ticket tells. */
START_TEST(a_job_that_is_posted_again_is_another)
{
    uint64_t first = post(5), ticket;
    ck_assert_int_eq(fxi_board_take(board, 1, &ticket), 5);
    uint64_t second = post(5), open = fxi_job_word(first, 0, FXI_JOB_OPEN);
    ck_assert_uint_ne(first, second);
    ck_assert(!fxi_cas_acq_rel(&board->jobs[5].word, &open, fxi_job_word(first, 2, FXI_JOB_TAKEN)));
    ck_assert_int_eq(fxi_board_take(board, 1, &ticket), 5);
    ck_assert_uint_eq(ticket, second);
}
END_TEST

static void *rest(void *seat)
{
    fxi_board_rest(board, (uint32_t)(uintptr_t)seat);
    return NULL;
}

static bool sleeps(uint32_t seat)
{
    return fxi_load_acquire(&board->seats[seat].bell) == FXI_BELL_SLEEPS;
}

START_TEST(one_idle_worker_is_roused_for_each_ring_and_none_if_none_is_idle)
{
    pthread_t threads[3];
    const uint32_t seats[3] = { 0, 63, 69 };
    ck_assert(!fxi_board_rouse(board, SEATS));
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, rest, (void *)(uintptr_t)seats[i]);
        await(sleeps(seats[i]));
    }
    for (int i = 0; i < 3; i++) {
        ck_assert(fxi_board_rouse(board, SEATS));
        int asleep = 0;
        for (int k = 0; k < 3; k++)
            asleep += sleeps(seats[k]);
        ck_assert_int_eq(asleep, 2 - i);
    }
    ck_assert(!fxi_board_rouse(board, SEATS));
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

START_TEST(a_worker_with_something_in_line_does_not_rest)
{
    post(0);
    fxi_board_rest(board, 7);
    ck_assert_uint_eq(board->idle[0], 0);
}
END_TEST

START_TEST(a_worker_that_was_stopped_is_passed_over)
{
    pthread_t thread;
    pthread_create(&thread, NULL, rest, (void *)(uintptr_t)4);
    await(sleeps(4));
    fxi_board_pass_over(board, 4);
    ck_assert(!fxi_board_rouse(board, SEATS));
    pthread_join(thread, NULL); /* it has been rung, and looks around */
}
END_TEST

START_TEST(the_place_of_a_dead_worker_is_not_roused)
{
    board->idle[1] = 1;
    board->seats[64].bell = FXI_BELL_SLEEPS;
    board->seats[64].is_ready = 1;
    fxi_board_reset_seat(board, 64);
    ck_assert(!fxi_board_rouse(board, SEATS));
    ck_assert_uint_eq(board->seats[64].bell, FXI_BELL_QUIET);
    ck_assert_uint_eq(board->seats[64].is_ready, 0);
}
END_TEST

enum { TAKERS = 4, TASKS = 20000 };
static uint32_t taken[TAKERS], over, left;

static void *take_all(void *seat)
{
    uint32_t number = (uint32_t)(uintptr_t)seat;
    while (!fxi_load_relaxed(&over)) {
        uint64_t ticket;
        int job = fxi_board_take(board, number, &ticket);
        if (job < 0) {
            fxi_board_rest(board, number);
            continue;
        }
        fxi_add_relaxed(&taken[number], 1u);
        fxi_store_release(&board->jobs[job].word, (uint64_t)FXI_JOB_FREE); /* pairs with the poster */
    }
    fxi_add_relaxed(&left, 1u);
    return NULL;
}

static uint32_t taken_in_all(void)
{
    uint32_t sum = 0;
    for (int i = 0; i < TAKERS; i++)
        sum += fxi_load_relaxed(&taken[i]);
    return sum;
}

START_TEST(many_takers_take_each_task_once)
{
    pthread_t threads[TAKERS];
    for (uintptr_t i = 0; i < TAKERS; i++)
        pthread_create(&threads[i], NULL, take_all, (void *)i);
    for (uint32_t i = 0; i < TASKS; i++) {
        uint32_t job = i % FXI_JOBS;
        await(fxi_load_acquire(&board->jobs[job].word) == FXI_JOB_FREE);
        post(job);
        fxi_board_rouse(board, SEATS);
    }
    await(taken_in_all() == TASKS);
    fxi_store_relaxed(&over, 1u);
    /* One that was about to rest when it was over is rung as soon as it does. */
    await((fxi_board_rouse(board, SEATS), fxi_load_relaxed(&left) == TAKERS));
    for (int i = 0; i < TAKERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(taken_in_all(), TASKS);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, tasks_are_taken_in_the_order_of_posting);
    tcase_add_test(tests, what_is_withdrawn_is_not_taken_and_is_passed);
    tcase_add_test(tests, the_head_moves_past_a_job_whose_worker_died_in_between);
    tcase_add_test(tests, a_job_that_is_posted_again_is_another);
    tcase_add_test(tests, one_idle_worker_is_roused_for_each_ring_and_none_if_none_is_idle);
    tcase_add_test(tests, a_worker_with_something_in_line_does_not_rest);
    tcase_add_test(tests, a_worker_that_was_stopped_is_passed_over);
    tcase_add_test(tests, the_place_of_a_dead_worker_is_not_roused);
    tcase_add_test(tests, many_takers_take_each_task_once);
}

int main(void)
{
    return run_suite("process board", add_tests);
}
