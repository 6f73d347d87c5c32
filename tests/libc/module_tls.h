/* The modules that tests open with dlopen(), and what is in them. */
#ifndef TESTS_LIBC_MODULE_TLS_H
#define TESTS_LIBC_MODULE_TLS_H

#include <dlfcn.h>
#include <stdbool.h>

#define MODULE_DIR TEST_BUILDDIR "/tests/libc/.libs/"
#define MODULE_TLS MODULE_DIR "module_tls.so"
#define MODULE_INITIAL_EXEC MODULE_DIR "module_initial_exec.so"
#define MODULE_CXX MODULE_DIR "module_cxx.so"

/* Exported by module_tls and module_initial_exec. */
int module_is_initial(void);    /* the calling thread's variables are as the module's image */
void module_set(int value);     /* makes them all differ from it; value is not 0 */
int module_has(int value);      /* they are as module_set() made them */

/* Exported by module_cxx: a thread_local object. */
int module_cxx_touch(void);     /* constructs the thread's on first use; how often it was touched */
int module_cxx_constructed(void);
int module_cxx_destroyed(void); /* all threads' */

/* One of the first two, opened. */
struct tls_module {
    void *handle;
    int (*is_initial)(void);
    void (*set)(int);
    int (*has)(int);
};

static inline bool tls_module_open(struct tls_module *module, const char *path)
{
    module->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module->handle)
        return false;
    module->is_initial = (int (*)(void))dlsym(module->handle, "module_is_initial");
    module->set = (void (*)(int))dlsym(module->handle, "module_set");
    module->has = (int (*)(int))dlsym(module->handle, "module_has");
    return module->is_initial && module->set && module->has;
}

#endif
