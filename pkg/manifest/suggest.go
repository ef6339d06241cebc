package manifest

import "fmt"

// suggest names the known key that a wrong one may have meant.
func suggest(wrong string, keys map[string]rule) string {
	if len(wrong) > 40 {
		return ""
	}
	best, least := "", 3
	for key := range keys {
		if d := distance(wrong, key); d < least || (d == least && best != "" && key < best) {
			best, least = key, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
