/* The program that libFuzzer drives: an interpreter that imports one sanitized target; from then on there is only C. */

#include <Python.h>

static int (*target)(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    const char *name = getenv("RHP_FUZZ_TARGET");
    PyObject *module, *entry = NULL;
    (void)argc, (void)argv;
    Py_InitializeEx(0);
    module = PyImport_ImportModule(name ? name : "RHP_FUZZ_TARGET");
    if (module)
        entry = PyObject_GetAttrString(module, "entry");
    if (entry)
        target = (int (*)(const uint8_t *, size_t))PyLong_AsVoidPtr(entry);
    if (!target) {
        PyErr_Print();
        exit(1);
    }
    PyEval_SaveThread();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return target(data, size);
}
