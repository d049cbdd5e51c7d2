# Sluice. The commands that matter: make run, make test, make sim, make bench, make fuzz. MODE is release, debug, asan (with ubsan) or tsan; make fuzz
# has one of its own, which is asan with clang's libFuzzer.
MODE    ?= release
VERSION := 0.1.0
USUAL_CC := $(if $(filter fuzz,$(MODE)),clang,gcc)
CC      := $(if $(filter default,$(origin CC)),$(USUAL_CC),$(CC))
Q       := $(if $(V),,@)

# Each mode has a folder of its own, and each compiler besides the usual one, too (build/release-clang): objects of two never meet.
SPACE   := $(subst ,, )
COMMA   := ,
BUILD   := build/$(MODE)$(if $(filter-out $(USUAL_CC),$(CC)),-$(subst /,-,$(subst $(SPACE),-,$(strip $(CC)))))

# Commands that build on their own take every core, unless `make -jN` says how many.
JOBS       := $(shell nproc 2>/dev/null || echo 1)
WITH_JOBS   = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))
SUBMAKE     = $(if $(WITH_JOBS),echo "building with $(JOBS) jobs" &&) $(MAKE) --no-print-directory $(WITH_JOBS)

PACKAGES := libevent_core libcares openssl yaml-0.1 libnghttp2 zlib jansson
# llhttp from a library where a distribution has one, else from the C sources in Debian bookworm's package node-llhttp: installed, or
# unpacked in build/ by deploy/install-dependencies.sh. Always the strict machine.
LLHTTP_LIBRARY := $(shell pkg-config --exists libllhttp 2>/dev/null && echo libllhttp)
LLHTTP_PLACES  := $(if $(LLHTTP_LIBRARY),,$(wildcard /usr/share/llhttp build/node-llhttp/usr/share/llhttp))
LLHTTP_PLACE   := $(firstword $(LLHTTP_PLACES))
LLHTTP_SOURCES := $(if $(LLHTTP_PLACE),$(wildcard $(LLHTTP_PLACE)/*.c))
LLHTTP_FLAGS   := -DLLHTTP_STRICT_MODE=1 $(if $(LLHTTP_PLACE),-isystem $(dir $(LLHTTP_PLACE))include/llhttp)
PACKAGES       += $(LLHTTP_LIBRARY)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wsign-compare -Wcast-qual -Wformat=2 \
            -Wpointer-arith -Wundef -Werror
HARDENING := -fstack-protector-strong -fPIE -fno-plt
# Fat objects: the program is optimised as a whole, the many test programs link the plain code. gcc only; clang's need a linker of its own.
LTO := $(if $(findstring clang,$(CC)),,-flto=auto)
CFLAGS_release := -O2 -g $(if $(LTO),$(LTO) -ffat-lto-objects) -D_FORTIFY_SOURCE=2
CFLAGS_debug   := -O0 -g
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan    := -O1 -g -fsanitize=thread
CFLAGS_fuzz    := $(CFLAGS_asan) -fsanitize=fuzzer-no-link
CFLAGS  := -std=c11 -D_GNU_SOURCE -Irouter -DSLUICE_VERSION='"$(VERSION)"' $(WARNINGS) $(HARDENING) $(CFLAGS_$(MODE)) \
           $(LLHTTP_FLAGS) $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
LDFLAGS := -pie -Wl,-z,relro,-z,now $(filter -fsanitize=%,$(CFLAGS_$(MODE)))
LDFLAGS_program := $(if $(filter release,$(MODE)),$(LTO) -O2)
LDFLAGS_test    := $(if $(LTO),-fno-lto)
LDLIBS  := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -pthread

SOURCES := $(wildcard router/*/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(LLHTTP_SOURCES:$(LLHTTP_PLACE)/%.c=$(BUILD)/llhttp/%.o)
TESTS   := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*/test_*.c))
FUZZERS := $(patsubst %.c,$(BUILD)/%,$(filter-out tests/fuzz/fuzz_log.c,$(wildcard tests/fuzz/fuzz_*.c)))

.PHONY: all build debug asan tsan run test check sim bench fuzz fuzzers install-build install-run install-test install-bench install-fuzz clean
.DELETE_ON_ERROR:
.SECONDARY:

all: install-build
	@+$(SUBMAKE) build

# The link names the mode that was built last.
build: $(BUILD)/sluice
	@ln -sfn $(notdir $(BUILD))/sluice build/sluice

debug asan tsan: install-build
	@+$(SUBMAKE) MODE=$@ build

$(BUILD)/sluice: $(OBJECTS)
	$(Q)echo link $@ && $(CC) $(LDFLAGS) $(LDFLAGS_program) -o $@ $^ $(LDLIBS)

$(BUILD)/router/%.o: router/%.c
	@mkdir -p $(@D)
	$(Q)echo cc $< && $(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# Generated code: our warnings are not for it.
$(BUILD)/llhttp/%.o: $(LLHTTP_PLACE)/%.c
	@mkdir -p $(@D)
	$(Q)echo cc $< && $(CC) -w -O2 $(LLHTTP_FLAGS) -fPIE $(filter -fsanitize=%,$(CFLAGS_$(MODE))) -c -o $@ $<

$(BUILD)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(Q)echo cc $< && $(CC) $(CFLAGS) $(LDFLAGS_test) -Itests -MMD -MP -c -o $@ $<

# The simulator: the router with other files in the place of those that ask the system (tests/sim/kernel/seam_*.c), linked without whole-program
# optimisation. The linker gives it the router's calls of malloc and kin.
SIM_REPLACED := $(addprefix $(BUILD)/router/,$(addsuffix .o,$(addprefix base/,clock random thread file sink machine descriptors processors) \
                $(addprefix net/,poller socket wakeup signals resolver unix_socket)))
SIM_OBJECTS  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/sim/kernel/*.c tests/sim/peer/*.c tests/sim/world/*.c tests/sim/check/*.c \
                tests/sim/swarm/*.c))
SIM_WRAPS    := $(addprefix -Wl$(COMMA)--wrap=,malloc calloc realloc free strdup strndup retry_decide reply_send_fault)

$(BUILD)/tests/sim/%.o: tests/sim/%.c
	@mkdir -p $(@D)
	$(Q)echo cc $< && $(CC) $(CFLAGS) $(LDFLAGS_test) -Itests/sim -Itests -MMD -MP -c -o $@ $<

SIM_ROUTER   := $(filter-out $(SIM_REPLACED) $(BUILD)/router/cli/%,$(OBJECTS))
SIM_TESTS    := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/sim/test/test_*.c))
# ThreadSanitizer does not know stacks that change hands within a thread.
SIM_PARTS    := $(if $(filter tsan,$(MODE)),,$(BUILD)/sim $(SIM_TESTS))

$(BUILD)/sim: $(SIM_ROUTER) $(SIM_OBJECTS)
	$(Q)echo link $@ && $(CC) $(LDFLAGS) $(LDFLAGS_test) $(SIM_WRAPS) -o $@ $^ $(LDLIBS) -lm

$(SIM_TESTS): %: %.o $(SIM_ROUTER) $(filter-out $(BUILD)/tests/sim/swarm/%,$(SIM_OBJECTS))
	$(Q)echo link $@ && $(CC) $(LDFLAGS) $(LDFLAGS_test) $(SIM_WRAPS) -o $@ $^ -lcmocka $(LDLIBS) -lm

# A floor is an archive. A test program links the one of its floor and those that router/FLOORS puts below it, from the top down, and of
# them what it needs: what changes above its floor does not concern it. A word is a floor and the floors below: http:net:base.
FLOORS := $(shell awk '$$1 !~ /^\#/ && NF { word = $$1; for (i = NF; i > 1; i--) word = word ":" $$i; print word }' router/FLOORS)

define floor_rules
$(BUILD)/$(1).a: $(filter $(BUILD)/router/$(1)/%,$(OBJECTS))
$(filter $(BUILD)/tests/unit/$(1)/%,$(TESTS)): %: %.o $(patsubst %,$(BUILD)/%.a,$(subst :, ,$(2))) $(if $(LLHTTP_SOURCES),$(BUILD)/llhttp.a)
	$(Q)echo link $$@ && $(CC) $(LDFLAGS) $(LDFLAGS_test) -o $$@ $$^ -lcmocka $(LDLIBS)
endef
$(foreach word,$(FLOORS),$(eval $(call floor_rules,$(firstword $(subst :, ,$(word))),$(word))))
$(BUILD)/llhttp.a: $(filter $(BUILD)/llhttp/%,$(OBJECTS))

# A fuzzer stands above all floors but those of the program itself. Without libFuzzer it only replays files.
$(FUZZERS): %: %.o $(BUILD)/tests/fuzz/fuzz_log.o $(if $(filter fuzz,$(MODE)),,$(BUILD)/tests/fuzz/replay.o) \
            $(patsubst %,$(BUILD)/%.a,$(subst :, ,$(filter worker:%,$(FLOORS)))) $(if $(LLHTTP_SOURCES),$(BUILD)/llhttp.a)
	$(Q)echo link $@ && $(CC) $(LDFLAGS) $(LDFLAGS_test) $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer) -Wl,--wrap=log_line -o $@ $^ $(LDLIBS)

$(BUILD)/%.a:
	@rm -f $@
	$(Q)echo ar $@ && ar rcs $@ $^

# The stand-in cluster with Sluice in front of it; with CONFIG=my.yaml, Sluice alone on a cluster of your own.
run: install-$(if $(CONFIG),build,run)
	@+$(SUBMAKE) build
	@CONFIG="$(CONFIG)" exec deploy/run.sh

test: install-test
	@+$(SUBMAKE) check

check: build $(TESTS) $(FUZZERS) $(SIM_PARTS)
	@MODE=$(MODE) FUZZERS="$(FUZZERS)" SIM="$(firstword $(SIM_PARTS))" tests/run.sh $(TESTS) $(wordlist 2,99,$(SIM_PARTS))

# Many seeds of the simulator, shown as a table: make sim SEEDS=20000
SEEDS ?= 1000
sim: install-build
	@+$(SUBMAKE) $(BUILD)/sim
	@$(BUILD)/sim --seeds $(SEEDS) --jobs $(JOBS) --reached tests/sim/reached.txt --table

# Each fuzzer for FUZZ_SECONDS (20), two at a time; TEST="h2 server" runs those alone whose name has all these words.
fuzz: install-fuzz
	@+$(SUBMAKE) MODE=fuzz fuzzers

fuzzers: $(FUZZERS)
	@tests/fuzz/run.sh $(FUZZERS)

bench: install-bench
	@+$(SUBMAKE) build
	@python3 bench/run.py --sluice build/sluice $(BENCH_FLAGS)

install-build install-run install-test install-bench install-fuzz:
	@deploy/install-dependencies.sh $(@:install-%=%)

clean:
	rm -rf build

-include $(OBJECTS:.o=.d) $(TESTS:=.d) $(FUZZERS:=.d) $(SIM_OBJECTS:.o=.d) $(SIM_TESTS:=.d)
