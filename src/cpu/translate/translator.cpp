#include "cpu/translate/translator.h"

#include "cpu/interpret/runner.h"
#include "cpu/translate/code_cache.h"
#include "cpu/translate/tier.h"
#include "translate/x86/host.h"

namespace doppel::cpu::translate {

Result<std::unique_ptr<Translator>> Translator::create(const Options& options) {
    if (!doppel::translate::x86::host_features().popcnt) {
        return fail(
            Error{"translate guest code", "this processor", "it is older than x86-64-v2", "use --engine interpret"});
    }
    DOPPEL_TRY(std::unique_ptr<CodeCache> cache,
               CodeCache::create(options.cache_bytes, options.stored, options.techniques));
    return std::unique_ptr<Translator>(new Translator(std::move(cache), options.hot));
}

std::unique_ptr<Vcpu> Translator::make_vcpu(const VcpuParts& parts) const {
    auto runner = std::make_unique<interpret::Runner>(parts);
    const doppel::translate::Techniques& techniques = cache_->techniques();
    runner->set_native_tier(
        make_tier(parts, *runner), hot_,
        {techniques.tlb_growth, techniques.lost_entries, techniques.global_mappings, techniques.address_spaces});
    return runner;
}

void Translator::start_threads() {
    cache_->start_thread();
}

void Translator::add_statistics(Statistics& statistics) const {
    CacheStatistics cache = cache_->statistics();
    statistics.add("blocks_translated", cache.blocks);
    statistics.add("regions_translated", cache.regions);
    statistics.add("blocks_loaded", cache.loaded_blocks);
    statistics.add("regions_loaded", cache.loaded_regions);
    statistics.add("blocks_invalidated", cache.invalidated);
    statistics.add("code_cache_flushes", cache.flushes);
    statistics.add("translation_nanoseconds", cache.nanoseconds);
    statistics.add("translated_guest_bytes", cache.guest_bytes);
    statistics.add("translated_host_bytes", cache.host_bytes);
    statistics.add("loaded_host_bytes", cache.loaded_host_bytes);
    statistics.add("code_cache_used_bytes", cache.used_bytes);
}

std::unique_ptr<interpret::NativeTier> Translator::make_tier(const VcpuParts& parts,
                                                             interpret::NativeHost& host) const {
    return std::make_unique<Tier>(parts, cache_, host);
}

}  // namespace doppel::cpu::translate
