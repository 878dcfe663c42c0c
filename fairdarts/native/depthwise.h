// Depthwise convolutions of an image [H, W, C] by taps [k * k, C], with "same" padding, and their gradients.

#pragma once

#include <algorithm>
#include <vector>

#include "rows.h"

// What of a line of pixels is read for one place of the result: pixels first + i * step by taps tap + i * by, i < count.
struct Reads {
  int first, step, tap, by, count;
};

// Of every place of the output, what it reads of the input.
inline std::vector<Reads> forward_reads(Int size, Int out, int kernel, int stride, int dilation) {
  std::vector<Reads> reads(out);
  for (Int o = 0; o < out; ++o) {
    const Int start = o * stride - dilation * (kernel / 2);
    const Int low = start < 0 ? (-start + dilation - 1) / dilation : 0;
    const Int high = std::min<Int>(kernel, size > start ? (size - start + dilation - 1) / dilation : 0);
    reads[o] = {int(start + low * dilation), dilation, int(low), 1, int(std::max<Int>(high - low, 0))};
  }
  return reads;
}

// Of every place of the input, which places of the output read it.
inline std::vector<Reads> backward_reads(Int size, Int out, int kernel, int stride, int dilation) {
  std::vector<Reads> reads(size, Reads{});
  for (Int o = 0; o < out; ++o)
    for (int tap = 0; tap < kernel; ++tap) {
      const Int i = o * stride + dilation * (tap - kernel / 2);
      if (i < 0 || i >= size) continue;
      Reads& its = reads[i];
      if (its.count == 0) its.first = int(o), its.tap = tap;
      if (its.count == 1) its.step = int(o) - its.first, its.by = tap - its.tap;
      ++its.count;
    }
  return reads;
}

// Places of a line that read alike, each `shift` pixels from the one before: one loaded tap serves them all.
struct Tile {
  int start, length, shift;
};
constexpr int TILE = 4;

struct Plan {
  std::vector<Reads> rows, columns;
  std::vector<Tile> tiles;

  Plan(std::vector<Reads> its_rows, std::vector<Reads> its_columns) : rows(its_rows), columns(its_columns) {
    const int places = int(columns.size());
    for (int start = 0, end; start < places; start = end) {
      const Reads& its = columns[start];
      const int shift = start + 1 < places ? columns[start + 1].first - its.first : 0;
      const auto alike = [&](int place) {
        const Reads& other = columns[place];
        return other.first - columns[place - 1].first == shift && other.tap == its.tap && other.count == its.count;
      };
      for (end = start + 1; end < std::min(places, start + TILE) && alike(end);) ++end;
      if (end - start < TILE) end = start + 1;
      tiles.push_back({start, end - start, shift});
    }
  }
};

template <class T>
struct Image {
  T* pixels;
  Int height, width;
};

// out = (out +) sum over taps of `from`, where it passes an activation of output `passed`
template <class T, int C>
void gather_of(const Image<T>& out, const Image<const T>& from, Int all, const T* taps, Int kernel, const Plan& plan,
               const T* passed, T limit, bool add) {
  const Int channels = C ? C : all;  // the common ones are known to the compiler, which then computes no addresses
  over_channels<T>(channels, [&]<int L, int M>(Int c) {
    for (Int y = 0; y < out.height; ++y)
      for (const Tile& tile : plan.tiles) {
        const Reads &row = plan.rows[y], &column = plan.columns[tile.start];
        const auto run = [&]<int N, int S>() {
          Vec<T, L> sum[N][M] = {};
          const Int shift = (S ? S : tile.shift) * channels;
          for (int v = 0; v < row.count; ++v) {
            const T* x = from.pixels + ((row.first + v * row.step) * from.width + column.first) * channels + c;
            const T* tap = taps + ((row.tap + v * row.by) * kernel + column.tap) * channels + c;
            for (int h = 0; h < column.count; ++h, x += column.step * channels, tap += column.by * channels)
#pragma GCC unroll 4
              for (int n = 0; n < N; ++n)
#pragma GCC unroll 2
                for (int m = 0; m < M; ++m) sum[n][m] += at<T, L>(x + n * shift + m * L) * at<T, L>(tap + m * L);
          }
          const Int place = (y * out.width + tile.start) * channels + c;
#pragma GCC unroll 4
          for (int n = 0; n < N; ++n)
#pragma GCC unroll 2
            for (int m = 0; m < M; ++m) {
              const Int its = place + n * channels + m * L;
              if (passed) sum[n][m] = masked<T, L>(sum[n][m], at<T, L>(passed + its), limit);
              at<T, L>(out.pixels + its) = add ? at<T, L>(out.pixels + its) + sum[n][m] : sum[n][m];
            }
        };
        if (tile.length == 1)
          run.template operator()<1, 0>();
        else if (tile.shift == 1)
          run.template operator()<TILE, 1>();
        else
          run.template operator()<TILE, 0>();
      }
  });
}

template <class T>
void gather(const Image<T>& out, const Image<const T>& from, Int channels, const T* taps, Int kernel, const Plan& plan,
            const T* passed = nullptr, T limit = 0, bool add = false) {
  const auto of = channels == 16 ? gather_of<T, 16> : channels == 32 ? gather_of<T, 32> : channels == 64 ? gather_of<T, 64> : gather_of<T, 0>;
  of(out, from, channels, taps, kernel, plan, passed, limit, add);
}

// total [k * k, channels] += sum over places of pull * what the tap reads there of `from`
template <class T, int K>
void add_taps_of(T* total, const Image<const T>& pull, const Image<const T>& from, Int channels, Int stride, Int dilation) {
  const Int radius = dilation * (K / 2);
  Int low[K], high[K];  // where tap b reads within the line
  for (int b = 0; b < K; ++b) {
    const Int start = b * dilation - radius;
    low[b] = start < 0 ? std::min(pull.width, (-start + stride - 1) / stride) : 0;
    high[b] = std::max(low[b], std::min(pull.width, from.width > start ? (from.width - start + stride - 1) / stride : 0));
  }
  const Int first = low[0], last = std::max(first, high[K - 1]);  // where all do
  const auto channels_of = [&]<int L>(Int c) {
    for (int a = 0; a < K; ++a) {
      Vec<T, L> sum[2][K] = {};  // of two places at a time, which do not wait for each other
      for (Int y = 0; y < pull.height; ++y) {
        const Int line = y * stride + a * dilation - radius;
        if (line < 0 || line >= from.height) continue;
        const T* p = pull.pixels + y * pull.width * channels + c;
        const T* x = from.pixels + line * from.width * channels + c;
        const auto read = [&](Int place, int b) { return at<T, L>(x + (place * stride + b * dilation - radius) * channels); };
        Int place = first;
        for (; place + 2 <= last; place += 2)
#pragma GCC unroll 2
          for (int half = 0; half < 2; ++half) {
            const Vec<T, L> its = at<T, L>(p + (place + half) * channels);
#pragma GCC unroll 7
            for (int b = 0; b < K; ++b) sum[half][b] += its * read(place + half, b);
          }
        for (int b = 0; b < K; ++b) {
          for (Int o = low[b]; o < std::min(first, high[b]); ++o) sum[0][b] += at<T, L>(p + o * channels) * read(o, b);
          for (Int o = std::max(place, low[b]); o < high[b]; ++o) sum[1][b] += at<T, L>(p + o * channels) * read(o, b);
        }
      }
      for (int b = 0; b < K; ++b) at<T, L>(total + (a * K + b) * channels + c) += sum[0][b] + sum[1][b];
    }
  };
  over_channels<T>(channels, [&]<int L, int M>(Int c) {
    for (int m = 0; m < M; ++m) channels_of.template operator()<L>(c + m * L);
  });
}

template <class T>
void add_taps(T* total, const Image<const T>& pull, const Image<const T>& from, Int channels, Int kernel, Int stride, Int dilation) {
  if (kernel == 3) add_taps_of<T, 3>(total, pull, from, channels, stride, dilation);
  if (kernel == 5) add_taps_of<T, 5>(total, pull, from, channels, stride, dilation);
  if (kernel == 7) add_taps_of<T, 7>(total, pull, from, channels, stride, dilation);
}
