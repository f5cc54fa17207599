# The only build. `make help` lists what there is to do.
#   config=release|debug|asan|tsan|coverage|fuzz  ->  build/<config>/   (asan, fuzz: address and undefined-behaviour sanitizers)

config  ?= release
ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(config)),clang,gcc)
endif
PREFIX  ?= /usr/local
BUILD   := build/$(config)
VERSION := $(shell cat VERSION)
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror
OPENMP   := -fopenmp
ifeq ($(config),fuzz)
# libFuzzer is clang's; one thread is enough there, and what clang alone warns of is no error.
WARNINGS := -Wall -Wextra
OPENMP   := -fopenmp-simd -isystem tests/fuzz/serial
# The unrolled kernels take clang minutes under its sanitizers; config=asan has them.
ISA_PLAIN := -fno-sanitize=all
endif
COMMON   := -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden $(OPENMP) -fno-math-errno -fno-trapping-math -MMD -MP $(WARNINGS) \
            -DPROJECT_VERSION='"$(VERSION)"'
FLAGS_release  := -O3 -g1
FLAGS_debug    := -O0 -g3
FLAGS_asan     := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_tsan     := -O1 -g -fsanitize=thread
FLAGS_coverage := -O0 -g --coverage
FLAGS_fuzz     := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
ifeq ($(FLAGS_$(config)),)
$(error config=$(config) is none of release debug asan tsan coverage fuzz)
endif
CFLAGS_ALL := $(COMMON) $(FLAGS_$(config)) $(CFLAGS)
LIBS       := -lopenblas -ljpeg -lz -ljansson -lyaml -lpthread -lm

# Files named *.isa.c are compiled once per instruction-set level, see darknet/core/isa.h and hdloss/words/isa.h.
MACHINE := $(shell $(CC) -dumpmachine)
ifneq ($(findstring x86_64,$(MACHINE)),)
ISA_LEVELS := portable avx2 avx512
endif
ISA_LEVELS ?= portable
ISA_FLAGS_portable :=
ISA_FLAGS_avx2     := -march=x86-64-v3 -ffp-contract=fast
ISA_FLAGS_avx512   := -march=x86-64-v4 -mprefer-vector-width=512 -ffp-contract=fast
# The integer kernels' third level also wants the byte dot products and vector popcounts of later AVX-512 machines.
ISA_FLAGS_hd_portable :=
ISA_FLAGS_hd_avx2     := -march=x86-64-v3
ISA_FLAGS_hd_avx512   := -march=x86-64-v4 -mavx512vnni -mavx512vpopcntdq -mavx512bitalg -mavx512vbmi -mprefer-vector-width=512

DARKNET_SOURCES := $(filter-out $(wildcard darknet/cli/*.c),$(wildcard darknet/*/*.c))
HDLOSS_SOURCES  := $(filter-out $(wildcard hdloss/plugin/*.c),$(wildcard hdloss/*/*.c))
PLUGIN_SOURCES  := $(wildcard hdloss/plugin/*.c)
PROGRAM_SOURCES := $(wildcard darknet/cli/*.c)

plain      = $(filter-out %.isa.c,$(1))
isa_of     = $(foreach f,$(filter %.isa.c,$(1)),$(foreach l,$(ISA_LEVELS),$(BUILD)/$(f:.isa.c=.$(l).o)))
objects_of = $(patsubst %.c,$(BUILD)/%.o,$(call plain,$(1))) $(call isa_of,$(1))

DARKNET_OBJECTS := $(call objects_of,$(DARKNET_SOURCES))
HDLOSS_OBJECTS  := $(call objects_of,$(HDLOSS_SOURCES))
PLUGIN_OBJECTS  := $(call objects_of,$(PLUGIN_SOURCES))
PROGRAM_OBJECTS := $(call objects_of,$(PROGRAM_SOURCES))

TEST_SOURCES  := $(wildcard tests/unit/test_*.c tests/gradient/test_*.c tests/golden/test_*.c)
TEST_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(TEST_SOURCES))
TEST_HELPERS  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/support/*.c))

FUZZ_SOURCES  := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(FUZZ_SOURCES))

.PHONY: all help setup demo test test-units test-corpus test-cli fuzz fuzz-programs bench bench-hd bench-energy bench-instructions bench-pytorch calibrate test-rtl test-trace lint format install clean check-tools
.SECONDARY:
.DELETE_ON_ERROR:

all: $(BUILD)/bin/darknet $(BUILD)/libdarknet.so $(BUILD)/libhdloss.so
ifeq ($(config),release)
	@ln -sfn release/bin/darknet build/darknet
	@for f in libdarknet.a libdarknet.so libhdloss.a libhdloss.so; do ln -sfn release/$$f build/$$f; done
endif

help:
	@sed -n 's/^#: //p' $(MAKEFILE_LIST)

#: make                 build/darknet, build/libdarknet.{a,so}, build/libhdloss.{a,so}
#: make config=asan     the same under address and undefined-behaviour sanitizers, in build/asan
#: make demo            install what is missing, train twice on real images, draw energy against accuracy
#: make V=1             show the whole command lines
#: make test            install what is missing, build, run all tests, then again under sanitizers
#: make test-units      unit, gradient and golden tests of this config (TESTS="test_words test_path" for some)
#: make test-cli        command-line tests of this config
#: make bench           each layer's milliseconds, GFLOP/s, GB/s and share of the roofline, as a table and JSON
#: make bench-pytorch   the same networks in PyTorch and here, turn by turn
#: make bench-instructions  instructions of the hot kernels (valgrind), against the committed counts
#: make bench-hd        post-training methods on MobileNetV2's shapes: flips, gaps, seconds
#: make calibrate       the energy table from gates (yosys, iverilog; a quarter of an hour)
#: make test-rtl        the processing-element array against convolutions, its cycle model and the simulator
#: make test-trace      the simulator's trace level against fresh runs of the array in Verilog
#: make bench-energy    the energy simulator on one image through MobileNetV2
#: make lint            clang-format, clang-tidy, cppcheck
#: make install         into PREFIX (/usr/local)

setup:
	@scripts/setup build test demo

demo:
	@scripts/setup build demo
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@scripts/demo

test:
	@scripts/setup build test demo
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@$(MAKE) --no-print-directory -j$(JOBS) config=asan all
	@$(MAKE) --no-print-directory test-units
	@$(MAKE) --no-print-directory test-cli
	@$(MAKE) --no-print-directory config=asan test-units
	@$(MAKE) --no-print-directory config=asan test-corpus
	@$(MAKE) --no-print-directory config=asan test-cli
	@$(MAKE) --no-print-directory test-trace

$(BUILD)/bin/darknet: $(PROGRAM_OBJECTS) $(PLUGIN_OBJECTS) $(BUILD)/libhdloss.a $(BUILD)/libdarknet.a
	@mkdir -p $(@D)
	@echo "  $@"
	$(Q)$(CC) $(CFLAGS_ALL) -o $@ $(PROGRAM_OBJECTS) $(PLUGIN_OBJECTS) $(BUILD)/libdarknet.a $(BUILD)/libhdloss.a $(LIBS)

$(BUILD)/libdarknet.a: $(DARKNET_OBJECTS)
	@rm -f $@
	@echo "  $@"
	$(Q)$(AR) rcs $@ $^
$(BUILD)/libhdloss.a: $(HDLOSS_OBJECTS)
	@rm -f $@
	@echo "  $@"
	$(Q)$(AR) rcs $@ $^
$(BUILD)/libplugin.a: $(PLUGIN_OBJECTS)
	@rm -f $@
	@echo "  $@"
	$(Q)$(AR) rcs $@ $^
$(BUILD)/libdarknet.so: $(DARKNET_OBJECTS)
	@echo "  $@"
	$(Q)$(CC) $(CFLAGS_ALL) -shared -o $@ $^ $(LIBS)
$(BUILD)/libhdloss.so: $(HDLOSS_OBJECTS)
	@echo "  $@"
	$(Q)$(CC) $(CFLAGS_ALL) -shared -o $@ $^ -lz -ljansson -lyaml -lm

# Which libraries' headers a file sees: darknet's own, hdloss's own, the plug-in both.
$(BUILD)/darknet/%.o: INCLUDES := -Idarknet
$(BUILD)/hdloss/%.o: INCLUDES := -Ihdloss
$(BUILD)/hdloss/plugin/%.o: INCLUDES := -Idarknet -Ihdloss -Ihdloss/plugin
$(BUILD)/darknet/cli/%.o: INCLUDES := -Idarknet -Ihdloss -Ihdloss/plugin
$(BUILD)/tests/%: INCLUDES := -Idarknet -Ihdloss -Ihdloss/plugin -Itests/support

define isa_rule
$(BUILD)/darknet/%.$(1).o: darknet/%.isa.c
	@mkdir -p $$(@D)
	@echo "  $$@"
	$(Q)$(CC) $(CFLAGS_ALL) $(ISA_FLAGS_$(1)) $(ISA_PLAIN) -DISA_SUFFIX=$(1) -DISA_$(1) $$(INCLUDES) -c -o $$@ $$<
$(BUILD)/hdloss/%.$(1).o: hdloss/%.isa.c
	@mkdir -p $$(@D)
	@echo "  $$@"
	$(Q)$(CC) $(CFLAGS_ALL) $(ISA_FLAGS_hd_$(1)) $(ISA_PLAIN) -DISA_SUFFIX=$(1) -DISA_$(1) $$(INCLUDES) -c -o $$@ $$<
endef
$(foreach l,$(ISA_LEVELS),$(eval $(call isa_rule,$(l))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(INCLUDES) -c -o $@ $<

# Tests: one program a file.
$(BUILD)/tests/%: tests/%.c $(TEST_HELPERS) $(BUILD)/libplugin.a $(BUILD)/libdarknet.a $(BUILD)/libhdloss.a
	@mkdir -p $(@D)
	@echo "  $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(INCLUDES) -o $@ $< $(TEST_HELPERS) $(BUILD)/libplugin.a $(BUILD)/libdarknet.a $(BUILD)/libhdloss.a -lcmocka $(LIBS)

# A fuzz target: its corpus's reader as main, or libFuzzer.
FUZZ_OBJECTS := $(filter-out $(BUILD)/darknet/cli/main.o,$(PROGRAM_OBJECTS)) # the plug-in's commands want them
$(BUILD)/tests/fuzz/%: tests/fuzz/%.c tests/fuzz/replay.c $(FUZZ_OBJECTS) $(BUILD)/libplugin.a $(BUILD)/libdarknet.a $(BUILD)/libhdloss.a
	@mkdir -p $(@D)
	@echo "  $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(INCLUDES) -o $@ $< $(if $(filter fuzz,$(config)),-fsanitize=fuzzer,tests/fuzz/replay.c) \
	    $(FUZZ_OBJECTS) $(BUILD)/libplugin.a $(BUILD)/libdarknet.a $(BUILD)/libhdloss.a $(LIBS)

test-units test-corpus test-cli bench bench-hd bench-energy: export OMP_WAIT_POLICY ?= passive

test-units: $(if $(TESTS),$(foreach t,$(TESTS),$(filter %/$(t),$(TEST_PROGRAMS))),$(TEST_PROGRAMS))
	@status=0; for t in $^; do echo "== $$t"; $$t || status=1; done; exit $$status

# Each fuzz target reads its whole corpus once, without a fuzzer.
test-corpus: $(FUZZ_PROGRAMS)
	@for t in $^; do $$t tests/fuzz/corpus/$${t##*/fuzz_} || exit 1; done

SECONDS ?= 60
TARGETS ?= $(patsubst tests/fuzz/fuzz_%.c,%,$(FUZZ_SOURCES))
fuzz:
	@scripts/setup build fuzz
	@$(MAKE) --no-print-directory -j$(JOBS) config=fuzz fuzz-programs
	@tests/fuzz/run $(SECONDS) $(TARGETS)
fuzz-programs: $(FUZZ_PROGRAMS)
	@:

test-cli: all
	@DARKNET=$(abspath $(BUILD))/bin/darknet tests/cli/run $(TESTS)

bench: $(BUILD)/tests/bench/bench_kernels
	@$<

bench-hd: $(BUILD)/tests/bench/bench_hd
	@$<

bench-energy: $(BUILD)/tests/bench/bench_energy
	@$<

bench-pytorch: all
	@scripts/setup pytorch
	@scripts/bench_pytorch

bench-instructions: $(BUILD)/tests/bench/bench_instructions
	@scripts/setup instructions
	@scripts/bench_instructions -program $<

calibrate:
	@scripts/setup build calibrate
	@scripts/calibrate/run

test-rtl: $(BUILD)/tests/unit/test_trace
	@scripts/setup calibrate
	@TEST_TRACE=$< tests/rtl/run

test-trace: $(BUILD)/tests/unit/test_trace
	@scripts/setup test
	@TEST_TRACE=$< tests/rtl/run -trace

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/share/hdloss
	install $(BUILD)/bin/darknet $(DESTDIR)$(PREFIX)/bin/
	install -m 644 $(BUILD)/libdarknet.a $(BUILD)/libdarknet.so $(BUILD)/libhdloss.a $(BUILD)/libhdloss.so $(DESTDIR)$(PREFIX)/lib/
	install -m 644 darknet/darknet.h darknet/darknet_extension.h hdloss/*.h $(DESTDIR)$(PREFIX)/include/
	install -d $(DESTDIR)$(PREFIX)/share/hdloss/scripts
	install scripts/darknet.py $(DESTDIR)$(PREFIX)/share/hdloss/
	install scripts/plot_comparison scripts/python $(DESTDIR)$(PREFIX)/share/hdloss/scripts/
	cp -R cfg $(DESTDIR)$(PREFIX)/share/hdloss/

lint:
	@scripts/lint

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
