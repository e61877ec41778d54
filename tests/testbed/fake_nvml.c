/* NVIDIA's management library for machines without a device: its values come from the file that
   FAKE_NVML names, as "DEVICES UTILISATION PROCESS", or an error of every call as "-1". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { unsigned int gpu, memory; } utilization;
typedef struct {
    unsigned int pid;
    unsigned long long time;
    unsigned int sm, memory, encoder, decoder;
} sample;

enum { OK = 0, NOT_FOUND = 6, TOO_SMALL = 7, UNKNOWN = 999 };
static unsigned long long calls;

static int value(int which) {
    int values[3] = {-1, 0, 0};
    FILE *file = fopen(getenv("FAKE_NVML"), "r");
    if (file) {
        if (fscanf(file, "%d %d %d", values, values + 1, values + 2) < 1) values[0] = -1;
        fclose(file);
    }
    return which && values[0] < 0 ? -1 : values[which];
}

static int status(void) { return value(0) < 0 ? UNKNOWN : OK; }

int nvmlInit_v2(void) { return status(); }
int nvmlShutdown(void) { return OK; }

int nvmlDeviceGetCount_v2(unsigned int *count) {
    *count = value(0);
    return status();
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    *device = (void *)(size_t)(0x100000000ULL + index);
    return status();
}

static unsigned int number(void *device) { return (unsigned int)((size_t)device - 0x100000000ULL); }

int nvmlDeviceGetUUID(void *device, char *text, unsigned int length) {
    snprintf(text, length, "GPU-%04x", number(device));
    return status();
}

int nvmlDeviceGetName(void *device, char *text, unsigned int length) {
    (void)device;
    snprintf(text, length, "NVIDIA A100");
    return status();
}

/* only the first device works: others are of other people */
int nvmlDeviceGetUtilizationRates(void *device, utilization *rates) {
    rates->gpu = number(device) ? 0 : value(1);
    rates->memory = 0;
    return status();
}

int nvmlDeviceGetProcessUtilization(
    void *device, sample *samples, unsigned int *count, unsigned long long since) {
    if (status()) return status();
    if (value(2) == 0) return NOT_FOUND;
    if (*count < 20) {
        *count = 20;
        return TOO_SMALL;
    }
    memset(samples, 0, 20 * sizeof *samples);
    *count = 20;
    /* the work is in the newest, and in none that was seen before */
    samples[19].time = since > ++calls ? since : calls;
    samples[19].sm = number(device) ? 0 : value(2);
    return OK;
}
