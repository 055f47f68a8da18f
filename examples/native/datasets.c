/* A file of compressed datasets, by HDF5: written once, read one dataset at a time. HDF5 built for threads has one lock for
 * all of it, also while it decompresses. */
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK 16384

int h5_is_for_threads(void)
{
    hbool_t yes = 0;
    return H5is_library_threadsafe(&yes) >= 0 && yes;
}

/* Numbers that zlib makes some three times shorter: they rise slowly, with noise in twelve lower bits. */
static double element(unsigned long dataset, unsigned long i)
{
    unsigned long bits = ((dataset << 40) + i + 1) * 0x9e3779b97f4a7c15ul;
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9ul;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111ebul;
    return (double)(i / 64 + dataset) + (double)(bits >> 52) / 4096.0;
}

static void name_of(char *name, size_t size, int dataset)
{
    snprintf(name, size, "d%06d", dataset);
}

static int write_one(hid_t file, hid_t space, hid_t how, int dataset, double *numbers, size_t len)
{
    char name[16];
    name_of(name, sizeof name, dataset);
    for (size_t i = 0; i < len; i++)
        numbers[i] = element((unsigned long)dataset, i);
    hid_t set = H5Dcreate2(file, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, how, H5P_DEFAULT);
    int failed = set < 0 || H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) < 0;
    if (set >= 0)
        failed |= H5Dclose(set) < 0;
    return failed;
}

/* Returns 0 if the file is whole. */
int h5_write(const char *path, int datasets, size_t len)
{
    hsize_t size = len, chunk = len < CHUNK ? len : CHUNK;
    double *numbers = malloc(len * sizeof *numbers);
    hid_t file = H5Fcreate(path, H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(1, &size, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
    int failed = !numbers || file < 0 || space < 0 || how < 0 || H5Pset_chunk(how, 1, &chunk) < 0;
    failed = failed || H5Pset_shuffle(how) < 0 || H5Pset_deflate(how, 4) < 0;
    for (int i = 0; i < datasets && !failed; i++)
        failed = write_one(file, space, how, i, numbers, len);
    H5Pclose(how);
    H5Sclose(space);
    failed |= H5Fclose(file) < 0;
    free(numbers);
    return failed;
}

/* Reads a dataset. Returns 0 and the sum of its numbers, or another number. */
int h5_sum(const char *path, int dataset, size_t len, double *sum)
{
    char name[16];
    name_of(name, sizeof name, dataset);
    double *numbers = malloc(len * sizeof *numbers);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t set = file < 0 ? -1 : H5Dopen2(file, name, H5P_DEFAULT);
    hid_t space = set < 0 ? -1 : H5Dget_space(set);
    int failed = !numbers || space < 0 || H5Sget_simple_extent_npoints(space) != (hssize_t)len;
    failed = failed || H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) < 0;
    *sum = 0.0;
    for (size_t i = 0; i < len && !failed; i++)
        *sum += numbers[i];
    if (space >= 0)
        H5Sclose(space);
    if (set >= 0)
        H5Dclose(set);
    if (file >= 0)
        H5Fclose(file);
    free(numbers);
    return failed;
}

/* The same sum, from what was written. */
double h5_expected(int dataset, size_t len)
{
    double sum = 0.0;
    for (size_t i = 0; i < len; i++)
        sum += element((unsigned long)dataset, i);
    return sum;
}
