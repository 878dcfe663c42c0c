// Depthwise convolutions of an image [H, W, C] by taps [k * k, C], with "same" padding, and their gradients.
//
// A few channels at a time are copied next to each other, with zeros around the image: so they lie near in memory, no
// place of the image is a special one, and what comes before the convolution is done on the way.

#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "rows.h"

struct Geometry {
  Int images, channels, height, width, out_height, out_width;
  Int kernel, stride, dilation;  // a kernel of 0: no convolution

  Int in() const { return height * width * channels; }
  Int pixels() const { return out_height * out_width; }
  Int out() const { return pixels() * channels; }
  Int radius() const { return dilation * (kernel / 2); }
};

template <class T>
using Taps =
    std::vector<std::pair<Int, const T*>>;  // which pixel is read, counted from that of the output, by which tap

constexpr Int TILE = 8;  // pixels of a line whose sums registers hold; the room behind a line

// A copy of a few channels of an image with zeros around it.
template <class T>
struct Padded {
  Int height, width, border, pitch, side_by_side = 0;
  std::unique_ptr<T[]> pixels;

  Padded(Int height, Int width, Int border, Int stride)
      : height(height),
        width(width),
        border(border),
        pitch(width + 2 * border + TILE * stride),
        pixels(new T[(height + 2 * border + 1) * pitch * 2 * BYTES / sizeof(T)]) {}

  Int at(Int y, Int x) const { return (y + border) * pitch + x + border; }

  // Zeros around an image of so many channels side by side.
  void clear(Int channels) {
    if (side_by_side == channels) return;
    side_by_side = channels;
    T* p = pixels.get();
    Int end = 0;
    for (Int y = 0; y < height; end = at(y++, width)) std::fill(p + end * channels, p + at(y, 0) * channels, T(0));
    std::fill(p + end * channels, p + (height + 2 * border + 1) * pitch * channels, T(0));
  }

  // Copies channels [c, c + L * M) of an image, as activated(x * scale + shift) where there is a scale.
  template <int L, int M>
  void fill(const T* image, Int channels, Int c, const T* scale, const T* shift, T limit) {
    clear(L * M);
    for (Int y = 0; y < height; ++y) {
      const T* from = image + y * width * channels + c;
      T* to = pixels.get() + at(y, 0) * L * M;
      for (Int x = 0; x < width; ++x, from += channels, to += L * M)
#pragma GCC unroll 2
        for (int m = 0; m < M; ++m) {
          const Vec<T, L> its = ::at<T, L>(from + m * L);
          ::at<T, L>(to + m * L) =
              scale ? activated<T, L>(its * ::at<T, L>(scale + c + m * L) + ::at<T, L>(shift + c + m * L), limit) : its;
        }
    }
  }
};

// Where the results of `gather` go: pixels of an image, `row` and `step` numbers apart.
template <class T>
struct Target {
  T* pixels;
  Int rows, columns, row, step;
  bool add;         // to what is there
  const T* passed;  // the output of the activation that a pull goes back through, in a padded copy, or null
  Int passed_row, passed_step;
  T limit;
};

// target = sum over taps of what is read; S pixels of the input for one of the output
template <class T, int L, int M, int S>
void gather(const Target<T>& target, const T* from, Int pitch, const Taps<T>& taps) {
  constexpr int P = L * M, N = M == 1 ? TILE : TILE / 2;
  for (Int y = 0; y < target.rows; ++y)
    for (Int x = 0; x < target.columns; x += N) {
      Vec<T, L> sum[N][M] = {};
      const T* read = from + (y * pitch + x) * S * P;
      for (const auto& [offset, tap] : taps)
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n)
#pragma GCC unroll 2
          for (int m = 0; m < M; ++m)
            sum[n][m] += at<T, L>(read + offset * P + n * S * P + m * L) * at<T, L>(tap + m * L);
      T* to = target.pixels + y * target.row + x * target.step;
      const T* passed = target.passed ? target.passed + y * target.passed_row + x * target.passed_step : nullptr;
      const auto store = [&](int n, int m) {
        Vec<T, L> its = sum[n][m];
        if (passed) its = masked<T, L>(its, at<T, L>(passed + n * target.passed_step + m * L), target.limit);
        Vec<T, L>& place = at<T, L>(to + n * target.step + m * L);
        place = target.add ? place + its : its;
      };
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n)
        if (x + n < target.columns)
#pragma GCC unroll 2
          for (int m = 0; m < M; ++m) store(n, m);
    }
}

// out [OH, OW, C] channels c on = depthwise convolution of a padded copy
template <class T, int L, int M>
void forward(const Geometry& g, const Padded<T>& from, const T* taps, T* out, Int c) {
  Taps<T> read;
  for (Int a = 0; a < g.kernel; ++a)
    for (Int b = 0; b < g.kernel; ++b)
      read.emplace_back(a * g.dilation * from.pitch + b * g.dilation, taps + (a * g.kernel + b) * g.channels + c);
  const Target<T> target{out + c, g.out_height, g.out_width, g.out_width * g.channels, g.channels, false, nullptr, 0, 0,
                         0};
  if (g.stride == 1)
    gather<T, L, M, 1>(target, from.pixels.get(), from.pitch, read);
  else
    gather<T, L, M, 2>(target, from.pixels.get(), from.pitch, read);
}

// of_x [H, W, C] channels c on (+)= the input gradient of a padded copy of the pull, through the activation that gave
// `entry`
template <class T, int L, int M>
void backward(const Geometry& g, const Padded<T>& pull, const T* taps, T* of_x, Int c, bool add, const Padded<T>* entry,
              T limit) {
  for (Int qy = 0; qy < g.stride; ++qy)
    for (Int qx = 0; qx < g.stride; ++qx) {  // of pixels of one remainder, one set of taps
      Taps<T> read;
      for (Int a = 0; a < g.kernel; ++a)
        for (Int b = 0; b < g.kernel; ++b) {
          const Int y = qy + g.radius() - a * g.dilation, x = qx + g.radius() - b * g.dilation;
          if (y % g.stride == 0 && x % g.stride == 0)
            read.emplace_back(pull.at(y / g.stride, x / g.stride), taps + (a * g.kernel + b) * g.channels + c);
        }
      const Int rows = (g.height - qy + g.stride - 1) / g.stride, columns = (g.width - qx + g.stride - 1) / g.stride;
      T* to = of_x + (qy * g.width + qx) * g.channels + c;
      const T* passed = entry ? entry->pixels.get() + entry->at(qy, qx) * L * M : nullptr;
      const Target<T> target{to,
                             rows,
                             columns,
                             g.stride * g.width * g.channels,
                             g.stride * g.channels,
                             add,
                             passed,
                             entry ? g.stride * entry->pitch * L * M : 0,
                             g.stride * L * M,
                             limit};
      gather<T, L, M, 1>(target, pull.pixels.get(), pull.pitch, read);
    }
}

// total [k * k, C] channels c on += sum over places of pull * what the tap reads there of x, of padded copies
template <class T, int L, int M, int K>
void add_taps(const Geometry& g, T* total, const Padded<T>& pull, const Padded<T>& x, Int c) {
  constexpr int P = L * M;
  for (int m = 0; m < M; ++m)
    for (int a = 0; a < K; ++a) {
      Vec<T, L> sum[2][K] = {};  // of two places at a time, which do not wait for each other
      for (Int y = 0; y < g.out_height; ++y) {
        const T* p = pull.pixels.get() + pull.at(y, 0) * P + m * L;
        const T* read = x.pixels.get() + (y * g.stride + a * g.dilation) * x.pitch * P + m * L;
        for (Int place = 0; place < g.out_width; place += 2, p += 2 * P, read += 2 * g.stride * P)
#pragma GCC unroll 2
          for (int half = 0; half < 2; ++half)  // behind the last place the pull is zero
#pragma GCC unroll 7
            for (int b = 0; b < K; ++b)
              sum[half][b] += at<T, L>(p + half * P) * at<T, L>(read + (half * g.stride + b * g.dilation) * P);
      }
#pragma GCC unroll 7
      for (int b = 0; b < K; ++b) at<T, L>(total + (a * K + b) * g.channels + c + m * L) += sum[0][b] + sum[1][b];
    }
}

template <class T, int L, int M>
void add_taps(const Geometry& g, T* total, const Padded<T>& pull, const Padded<T>& x, Int c) {
  if (g.kernel == 3) add_taps<T, L, M, 3>(g, total, pull, x, c);
  if (g.kernel == 5) add_taps<T, L, M, 5>(g, total, pull, x, c);
  if (g.kernel == 7) add_taps<T, L, M, 7>(g, total, pull, x, c);
}
