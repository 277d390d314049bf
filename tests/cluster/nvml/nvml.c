/* A double of NVIDIA's management library: the calls that a monitor makes, answered for GPUs that do not exist.
 * __init__.py beside this file says what the environment sets. Values follow NVML's public header (nvml.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define API __attribute__((visibility("default")))
#define MAX_DEVICES 64
#define MAX_UUID 80
#define GIB (1ULL << 30)

enum {
  SUCCESS = 0,
  UNINITIALIZED = 1,
  INVALID_ARGUMENT = 2,
  NOT_SUPPORTED = 3,
  NOT_FOUND = 6,
  INSUFFICIENT_SIZE = 7,
  DRIVER_NOT_LOADED = 9,
};

typedef struct {
  unsigned long long total, free, used;
} Memory;

typedef struct {
  unsigned int version;
  unsigned long long total, reserved, free, used;
} MemoryV2;

typedef struct {
  unsigned int gpu, memory;
} Utilization;

typedef struct {
  unsigned int pid;
  unsigned long long used;
  unsigned int gpu_instance, compute_instance;
} Process;

struct device {
  unsigned int index;
  char uuid[MAX_UUID];
};

static struct device devices[MAX_DEVICES];
static unsigned int count;
static int users; /* nvmlInit calls without their nvmlShutdown */

/* ---- what there is ---- */

static void add(const char *uuid, size_t length) {
  if (count == MAX_DEVICES || length == 0 || length >= MAX_UUID) return;
  memcpy(devices[count].uuid, uuid, length);
  devices[count].uuid[length] = 0;
  devices[count].index = count;
  count++;
}

static void add_numbered(unsigned int wanted) {
  char uuid[MAX_UUID];
  for (unsigned int i = 0; i < wanted; i++) {
    int length = snprintf(uuid, sizeof uuid, "GPU-00000000-0000-0000-0000-%012u", i);
    add(uuid, (size_t)length);
  }
}

static void find_devices(void) {
  const char *visible = getenv("NVIDIA_VISIBLE_DEVICES");
  const char *number = getenv("GPU_WORKBENCH_NVML_COUNT");
  count = 0;
  if (!visible || !strcmp(visible, "all")) {
    if (number) add_numbered((unsigned int)strtoul(number, NULL, 10));
    return;
  }
  if (!strcmp(visible, "none") || !strcmp(visible, "void")) return;
  while (*visible) {
    size_t length = strcspn(visible, ",");
    add(visible, length);
    visible += length + (visible[length] == ',');
  }
}

/* Whether a figure was taken away by the environment. */
static int missing(const char *figure) {
  const char *list = getenv("GPU_WORKBENCH_NVML_MISSING");
  size_t length = strlen(figure);
  while (list && *list) {
    size_t word = strcspn(list, ",");
    if (word == length && !strncmp(list, figure, length)) return 1;
    list += word + (list[word] == ',');
  }
  return 0;
}

static int known(const struct device *device) {
  return device >= devices && device < devices + count;
}

/* A slow saw-tooth, 0 to 100 in 20 s, shifted per device, so that a graph of it is seen to live. */
static unsigned int wave(const struct device *device) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  unsigned int tenths = (unsigned int)((now.tv_sec * 10 + now.tv_nsec / 100000000) % 200 + device->index * 30) % 200;
  return tenths < 100 ? tenths : 200 - tenths;
}

#define CHECK(device, figure, out)                   \
  if (!users) return UNINITIALIZED;                  \
  if (!known(device) || !(out)) return INVALID_ARGUMENT; \
  if (missing(figure)) return NOT_SUPPORTED;

static int text(char *out, unsigned int size, const char *value) {
  if (strlen(value) >= size) return INSUFFICIENT_SIZE;
  strcpy(out, value);
  return SUCCESS;
}

/* ---- the library ---- */

API int nvmlInitWithFlags(unsigned int flags) {
  (void)flags;
  if (!users) find_devices();
  if (!count) return DRIVER_NOT_LOADED;
  users++;
  return SUCCESS;
}

API int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

API int nvmlShutdown(void) {
  if (!users) return UNINITIALIZED;
  users--;
  return SUCCESS;
}

API const char *nvmlErrorString(int code) {
  switch (code) {
    case SUCCESS: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    default: return "Unknown Error";
  }
}

API int nvmlSystemGetDriverVersion(char *version, unsigned int size) {
  if (!users) return UNINITIALIZED;
  return version ? text(version, size, "SIMULATED 0.0") : INVALID_ARGUMENT;
}

API int nvmlDeviceGetCount_v2(unsigned int *number) {
  if (!users) return UNINITIALIZED;
  if (!number) return INVALID_ARGUMENT;
  *number = count;
  return SUCCESS;
}

API int nvmlDeviceGetHandleByIndex_v2(unsigned int index, struct device **device) {
  if (!users) return UNINITIALIZED;
  if (index >= count || !device) return INVALID_ARGUMENT;
  *device = &devices[index];
  return SUCCESS;
}

API int nvmlDeviceGetHandleByUUID(const char *uuid, struct device **device) {
  if (!users) return UNINITIALIZED;
  if (!uuid || !device) return INVALID_ARGUMENT;
  for (unsigned int i = 0; i < count; i++) {
    if (!strcmp(devices[i].uuid, uuid)) {
      *device = &devices[i];
      return SUCCESS;
    }
  }
  return NOT_FOUND;
}

/* ---- one device ---- */

API int nvmlDeviceGetName(struct device *device, char *name, unsigned int size) {
  CHECK(device, "name", name)
  return text(name, size, "SIMULATED H200");
}

API int nvmlDeviceGetUUID(struct device *device, char *uuid, unsigned int size) {
  CHECK(device, "uuid", uuid)
  return text(uuid, size, device->uuid);
}

API int nvmlDeviceGetIndex(struct device *device, unsigned int *index) {
  CHECK(device, "index", index)
  *index = device->index;
  return SUCCESS;
}

API int nvmlDeviceGetMemoryInfo(struct device *device, Memory *memory) {
  CHECK(device, "memory", memory)
  memory->total = 141 * GIB;
  memory->used = (8 + wave(device) / 10) * GIB;
  memory->free = memory->total - memory->used;
  return SUCCESS;
}

API int nvmlDeviceGetMemoryInfo_v2(struct device *device, MemoryV2 *memory) {
  Memory plain;
  CHECK(device, "memory", memory)
  nvmlDeviceGetMemoryInfo(device, &plain);
  memory->total = plain.total;
  memory->reserved = GIB / 2;
  memory->used = plain.used;
  memory->free = plain.free - memory->reserved;
  return SUCCESS;
}

API int nvmlDeviceGetUtilizationRates(struct device *device, Utilization *rates) {
  CHECK(device, "utilization", rates)
  rates->gpu = wave(device);
  rates->memory = wave(device) / 2;
  return SUCCESS;
}

API int nvmlDeviceGetTemperature(struct device *device, int sensor, unsigned int *celsius) {
  CHECK(device, "temperature", celsius)
  if (sensor != 0) return INVALID_ARGUMENT;
  *celsius = 35 + wave(device) / 3;
  return SUCCESS;
}

API int nvmlDeviceGetPowerUsage(struct device *device, unsigned int *milliwatts) {
  CHECK(device, "power", milliwatts)
  *milliwatts = 90000 + wave(device) * 6000;
  return SUCCESS;
}

API int nvmlDeviceGetEnforcedPowerLimit(struct device *device, unsigned int *milliwatts) {
  CHECK(device, "power_limit", milliwatts)
  *milliwatts = 700000;
  return SUCCESS;
}

API int nvmlDeviceGetPowerManagementLimit(struct device *device, unsigned int *milliwatts) {
  return nvmlDeviceGetEnforcedPowerLimit(device, milliwatts);
}

/* Clock kinds: 0 graphics, 1 SM, 2 memory, 3 video. */
API int nvmlDeviceGetMaxClockInfo(struct device *device, unsigned int kind, unsigned int *mhz) {
  CHECK(device, "max_clock", mhz)
  if (kind > 3) return INVALID_ARGUMENT;
  *mhz = kind == 2 ? 3201 : 1980;
  return SUCCESS;
}

API int nvmlDeviceGetClockInfo(struct device *device, unsigned int kind, unsigned int *mhz) {
  CHECK(device, "clock", mhz)
  if (kind > 3) return INVALID_ARGUMENT;
  *mhz = kind == 2 ? 3201 : 1155 + wave(device) * 8;
  return SUCCESS;
}

API int nvmlDeviceGetCurrentClocksEventReasons(struct device *device, unsigned long long *reasons) {
  CHECK(device, "throttle", reasons)
  *reasons = wave(device) ? 0 : 1; /* bit 0: idle */
  return SUCCESS;
}

API int nvmlDeviceGetCurrentClocksThrottleReasons(struct device *device, unsigned long long *reasons) {
  return nvmlDeviceGetCurrentClocksEventReasons(device, reasons);
}

/* One process on each of the last GPU_WORKBENCH_NVML_BUSY devices. */
API int nvmlDeviceGetComputeRunningProcesses_v3(struct device *device, unsigned int *number, Process *processes) {
  CHECK(device, "processes", number)
  const char *busy = getenv("GPU_WORKBENCH_NVML_BUSY");
  unsigned int running = device->index + (busy ? strtoul(busy, NULL, 10) : 0) >= count;
  unsigned int room = *number;
  *number = running;
  if (room < running) return INSUFFICIENT_SIZE;
  if (running) processes[0] = (Process){.pid = 1, .used = GIB, .gpu_instance = ~0U, .compute_instance = ~0U};
  return SUCCESS;
}
