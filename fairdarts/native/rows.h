// Sums over rows of channels: an image in channels_last is a row [C] for every pixel.
//
// `Vec` is as wide as the machine's registers; channels that fill none go through narrower ones.

#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#if defined(__AVX512F__)
constexpr int BYTES = 64;
#elif defined(__AVX__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif

using Int = int64_t;

template <class T, int L>
struct Lanes {
  typedef T Vec __attribute__((vector_size(L * sizeof(T)), aligned(alignof(T)), may_alias));
};
template <class T, int L>
using Vec = typename Lanes<T, L>::Vec;

template <class T, int L>
inline Vec<T, L>& at(T* p) {
  return *reinterpret_cast<Vec<T, L>*>(p);
}
template <class T, int L>
inline const Vec<T, L>& at(const T* p) {
  return *reinterpret_cast<const Vec<T, L>*>(p);
}

// Calls body<lanes, vectors>(first channel): two registers of channels at a time while they last, then one, then less.
template <class T, class Body>
inline void over_channels(Int channels, Body body) {
  constexpr int L = BYTES / sizeof(T);
  Int c = 0;
  for (; c + 2 * L <= channels; c += 2 * L) body.template operator()<L, 2>(c);
  for (; c + L <= channels; c += L) body.template operator()<L, 1>(c);
  if constexpr (L > 4)
    for (; c + 4 <= channels; c += 4) body.template operator()<4, 1>(c);
  for (; c < channels; ++c) body.template operator()<1, 1>(c);
}

// Calls body<rows>(first row): as many rows at a time as registers hold sums of, then less.
template <int M, class Body>
inline void over_rows(Int rows, Body body) {
  constexpr int R = M == 2 ? 6 : 12;
  Int r = 0;
  for (; r + R <= rows; r += R) body.template operator()<R>(r);
  for (; r + 4 <= rows; r += 4) body.template operator()<4>(r);
  for (; r < rows; ++r) body.template operator()<1>(r);
}

// max(0, min(limit, x)), which leaves what is no number; a limit of 0 stands for no activation, infinity for ReLU, 6
// for ReLU6
template <class T, int L>
inline Vec<T, L> activated(Vec<T, L> x, T limit) {
  if (limit == 0) return x;
  x = x < 0 ? Vec<T, L>{} : x;
  return x > limit ? Vec<T, L>{} + limit : x;
}

// a pull on the activation's output -> on its input
template <class T, int L>
inline Vec<T, L> masked(Vec<T, L> pull, Vec<T, L> output, T limit) {
  if (limit == 0) return pull;
  pull = output <= 0 ? Vec<T, L>{} : pull;
  if (limit == std::numeric_limits<T>::infinity()) return pull;
  return output >= limit ? Vec<T, L>{} : pull;
}

// A matrix [inner, width] as blocks of the columns that `over_channels` takes together, so that they lie near.
template <class T>
struct Panels {
  Int inner;
  std::vector<T> values;

  // of numbers `row` and `column` apart
  Panels(const T* matrix, Int inner, Int width, Int row, Int column)
      : inner(inner), values(matrix ? inner * width : 0) {
    if (!matrix) return;
    over_channels<T>(width, [&]<int L, int M>(Int c) {
      T* to = values.data() + c * inner;
      for (Int k = 0; k < inner; ++k)
        for (Int i = 0; i < L * M; ++i) *to++ = matrix[k * row + (c + i) * column];
    });
  }
};

// out [rows, width] = x [rows, inner] times matrix
template <class T>
void multiply(T* out, Int rows, Int width, const T* x, const Panels<T>& matrix) {
  const Int inner = matrix.inner;
  over_channels<T>(width, [&]<int L, int M>(Int c) {
    over_rows<M>(rows, [&]<int R>(Int row) {
      const T *read = x + row * inner, *panel = matrix.values.data() + c * inner;
      Vec<T, L> sum[R][M] = {};
      for (Int k = 0; k < inner; ++k, panel += L * M)
#pragma GCC unroll 12
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
          for (int m = 0; m < M; ++m) sum[r][m] += read[r * inner + k] * at<T, L>(panel + m * L);
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int m = 0; m < M; ++m) at<T, L>(out + (row + r) * width + c + m * L) = sum[r][m];
    });
  });
}

// total [height, width] += left [rows, height] transposed times right [rows, width]; `near` has room for 2 registers a
// row
template <class T>
void add_cross(T* total, const T* left, Int height, const T* right, Int width, Int rows, T* near) {
  over_channels<T>(width, [&]<int L, int M>(Int c) {
    for (Int n = 0; n < rows; ++n)
      for (int m = 0; m < M; ++m) at<T, L>(near + (n * M + m) * L) = at<T, L>(right + n * width + c + m * L);
    over_rows<M>(height, [&]<int R>(Int first) {
      T* place = total + first * width + c;
      const T *x = left + first, *y = near;
      Vec<T, L> sum[R][M] = {};
      for (Int n = 0; n < rows; ++n, x += height, y += L * M)
#pragma GCC unroll 12
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
          for (int m = 0; m < M; ++m) sum[r][m] += x[r] * at<T, L>(y + m * L);
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int m = 0; m < M; ++m) at<T, L>(place + r * width + m * L) += sum[r][m];
    });
  });
}

// total [width] += sum of rows x [rows, width], where it is asked for, and dot [width] += that of x * (others - mean)
template <class T>
void add_sums(T* total, T* dot, const T* x, const T* others, const T* mean, Int width, Int rows) {
  over_channels<T>(width, [&]<int L, int M>(Int c) {
    Vec<T, L> sums[2][M] = {}, dots[2][M] = {},
              centre[M] = {};  // of two rows at a time, which do not wait for each other
    for (int m = 0; mean && m < M; ++m) centre[m] = at<T, L>(mean + c + m * L);
    const auto add = [&](int way, Int n) {
#pragma GCC unroll 2
      for (int m = 0; m < M; ++m) {
        const Vec<T, L> its = at<T, L>(x + n * width + c + m * L);
        sums[way][m] += its;
        dots[way][m] += its * (at<T, L>(others + n * width + c + m * L) - centre[m]);
      }
    };
    Int n = 0;
    for (; n + 2 <= rows; n += 2) add(0, n), add(1, n + 1);
    if (n < rows) add(0, n);
#pragma GCC unroll 2
    for (int m = 0; m < M; ++m) {
      if (total) at<T, L>(total + c + m * L) += sums[0][m] + sums[1][m];
      at<T, L>(dot + c + m * L) += dots[0][m] + dots[1][m];
    }
  });
}

// How rows of numbers are spread, column by column, counted from a first row so that nothing large cancels.
template <class T>
struct Moments {
  Int count = 0;
  std::vector<T> from, sum, square;  // of what is above `from`

  void add(const T* x, Int width, Int rows) {
    if (count == 0) from.assign(x, x + width), sum.assign(width, 0), square.assign(width, 0);
    count += rows;
    over_channels<T>(width, [&]<int L, int M>(Int c) {
      Vec<T, L> sums[M] = {}, squares[M] = {}, start[M];
      for (int m = 0; m < M; ++m) start[m] = at<T, L>(from.data() + c + m * L);
      for (const T* row = x + c; row < x + rows * width; row += width)
#pragma GCC unroll 2
        for (int m = 0; m < M; ++m) {
          const Vec<T, L> above = at<T, L>(row + m * L) - start[m];
          sums[m] += above, squares[m] += above * above;
        }
      for (int m = 0; m < M; ++m)
        at<T, L>(sum.data() + c + m * L) += sums[m], at<T, L>(square.data() + c + m * L) += squares[m];
    });
  }
};

// mean and variance [width] of the rows of all parts
template <class T>
void put_together(const std::vector<Moments<T>>& parts, Int width, T* mean, T* variance) {
  for (Int d = 0; d < width; ++d) {
    T count = 0, centre = 0, spread = 0;
    for (const Moments<T>& part : parts) {
      if (part.count == 0) continue;
      const T its = part.sum[d] / part.count, apart = part.from[d] + its - centre, both = count + part.count;
      spread += part.square[d] - its * part.sum[d] + apart * apart * (count * part.count / both);
      centre += apart * (part.count / both);
      count = both;
    }
    mean[d] = centre, variance[d] = std::max(spread / count, T(0));
  }
}

template <class T>
struct Scaled {
  const T* rows;   // [N, width]
  const T* scale;  // [width]
};

// out [rows, width] = activated(sum of rows * scale + shift)
template <class T>
void combine(T* out, Int rows, Int width, const Scaled<T>* terms, int count, const T* shift, T limit) {
  over_channels<T>(width, [&]<int L, int M>(Int c) {
    for (Int place = c; place < rows * width; place += width)
#pragma GCC unroll 2
      for (int m = 0; m < M; ++m) {
        Vec<T, L> sum = at<T, L>(shift + c + m * L);
        for (int term = 0; term < count; ++term)
          sum += at<T, L>(terms[term].rows + place + m * L) * at<T, L>(terms[term].scale + c + m * L);
        at<T, L>(out + place + m * L) = activated<T, L>(sum, limit);
      }
  });
}

// out [rows, width] = (out +) what of pull [rows, width] passes an activation of output `passed`
template <class T>
void finish(T* out, const T* pull, Int rows, Int width, const T* passed, T limit, bool add) {
  over_channels<T>(width, [&]<int L, int M>(Int c) {
    for (int m = 0; m < M; ++m)
      for (Int place = c + m * L; place < rows * width; place += width) {
        const Vec<T, L> x =
            passed ? masked<T, L>(at<T, L>(pull + place), at<T, L>(passed + place), limit) : at<T, L>(pull + place);
        at<T, L>(out + place) = add ? at<T, L>(out + place) + x : x;
      }
  });
}
