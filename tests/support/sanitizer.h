/* What a sanitizer's build or run-time does not allow a test to do. */
#ifndef TESTS_SUPPORT_SANITIZER_H
#define TESTS_SUPPORT_SANITIZER_H

/* The build for the thread sanitizer starts pthreads in place of threads of ours. What tests say of
 * libc in our threads says nothing there, and libc's own locks, which the sanitizer does not see,
 * look like races to it: such tests are skipped. */
#ifdef FXI_TSAN
#define THREADS_ARE_PTHREADS 1
#else
#define THREADS_ARE_PTHREADS 0
#endif

/* The address sanitizer's allocator is not put in order by fork(): a child of a process whose
 * threads were allocating may hang in its first malloc. It also gives each thread a signal stack,
 * and takes back what it finds. */
#ifdef FXI_ASAN
#define CHILD_MAY_ALLOCATE 0
#define SIGNAL_STACK_IS_TAKEN 1
#else
#define CHILD_MAY_ALLOCATE 1
#define SIGNAL_STACK_IS_TAKEN 0
#endif

/* The sanitizers' allocators end the program where libc's says that there is no memory. */
#if defined FXI_ASAN || defined FXI_TSAN
#define ALLOCATOR_MAY_FAIL 0
#else
#define ALLOCATOR_MAY_FAIL 1
#endif

#define TEST_SKIPPED 77 /* the exit code that says so */

/* Leaves the program's leaks alone, at file scope. For programs in whose pthreads or main thread
 * modules with thread-locals are opened: LeakSanitizer takes a block of such a module that happens to
 * lie 16 bytes into a page for one of an old glibc's, follows what it reads there, and crashes. */
#if defined FXI_ASAN
#define SANITIZER_IGNORE_LEAKS                     \
    extern int __lsan_is_turned_off(void);         \
    int __lsan_is_turned_off(void) { return 1; }
#else
#define SANITIZER_IGNORE_LEAKS
#endif

#endif
