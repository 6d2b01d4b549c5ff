# Each target first installs what it needs and this machine lacks (scripts/setup).
.DEFAULT_GOAL := help
.PHONY: help run build test test-long golden bench format lint install clean
.NOTPARALLEL:

JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
# By relative paths, so that all clones share what one has compiled.
SHARED_CCACHE := env;CCACHE_BASEDIR=$(CURDIR);CCACHE_NOHASHDIR=1;ccache
CCACHE := $(if $(shell command -v ccache),'-DCMAKE_CXX_COMPILER_LAUNCHER=$(SHARED_CCACHE)')
CTEST := ctest --output-on-failure --no-tests=error -j $(JOBS)
SOURCES := git ls-files '*.cpp' '*.h'

# $(call build,PRESET)
build = cmake --preset $(1) $(CCACHE) --log-level=WARNING && cmake --build --preset $(1) -j $(JOBS)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

run: build ## boot a Debian for riscv64 to a shell (Ctrl-A x quits)
	@build/release/doppel run debian

build: ## a release, build/release/doppel
	@scripts/setup build
	@$(call build,release)

test: ## every test: release build, then the unit tests again under ASan and UBSan
	@scripts/setup build test
	$(call build,release)
	$(CTEST) --test-dir build/release -LE long
	$(call build,sanitize) --target unit_tests
	$(CTEST) --test-dir build/sanitize -L unit

# ThreadSanitizer of GCC 12 needs the address layout that setarch gives it.
test-long: test ## test, and: unit tests under TSan, every fuzzer for FUZZ_SECONDS (60), the long tests
	$(call build,tsan) --target unit_tests
	TSAN_OPTIONS=suppressions=$(CURDIR)/scripts/tsan-suppressions setarch -R $(CTEST) --test-dir build/tsan -L unit
	$(call build,fuzz)
	scripts/fuzz build/fuzz $(FUZZ_SECONDS)
	ctest --output-on-failure --test-dir build/release -L long

golden: ## write tests/golden anew, after a change of code generation; the difference is for review
	@scripts/setup build
	@$(call build,release) --target golden_code
	@build/release/golden_code tests/golden/x86_64.txt --write

bench: ## boot time, speed of code, of whole programs and of disks, beside Debian's qemu-system-riscv64 and qemu-img
	@scripts/setup build bench
	@$(call build,release)
	@bench/run
	@bench/translator
	@bench/storage
	@bench/disks
	@bench/instances
	@bench/devices
	@bench/network

format: ## clang-format on every source file
	@scripts/setup format
	@$(SOURCES) | xargs clang-format -i

lint: ## clang-format and clang-tidy, changing nothing
	@scripts/setup build lint
	$(SOURCES) | xargs clang-format --dry-run -Werror
	$(call build,release)
	run-clang-tidy -quiet -j $(JOBS) -p build/release "$(CURDIR)/src/.*"

install: build ## to PREFIX (/usr/local) below DESTDIR
	@cmake --install build/release $(if $(PREFIX),--prefix $(PREFIX))

clean: ## remove everything that was built
	rm -rf build
